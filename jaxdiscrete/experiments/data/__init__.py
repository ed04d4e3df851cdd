"""Data sets of binary images: downloaded, checked, split and binarised."""
