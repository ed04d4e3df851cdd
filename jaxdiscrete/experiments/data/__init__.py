"""Data sets of binary images: downloaded, checked, split and binarised."""

from jaxdiscrete.experiments.data.datasets import (
    DATASETS,
    Dataset,
    DatasetInfo,
    find_dataset,
    load_dataset,
    shuffled_subset,
)
from jaxdiscrete.experiments.data.download import FOLDER_VARIABLE, data_folder
from jaxdiscrete.experiments.data.inventory import describe, fetch, verify
from jaxdiscrete.experiments.data.sources import SOURCES, DataFile, Source

__all__ = [
    "DATASETS",
    "FOLDER_VARIABLE",
    "SOURCES",
    "DataFile",
    "Dataset",
    "DatasetInfo",
    "Source",
    "data_folder",
    "describe",
    "fetch",
    "find_dataset",
    "load_dataset",
    "shuffled_subset",
    "verify",
]
