"""Files that are the published ones, and others."""

from jaxdiscrete.experiments.data.checksums import checksum, find_damage
from jaxdiscrete.experiments.data.sources import DataFile


def test_git_knows_a_file_by_its_blob(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    # What git hash-object says.
    expected = "git-blob:ce013625030ba8dba906f756967f9e9ca394464a"
    assert checksum(path, "git-blob") == expected
    assert find_damage(path, DataFile("hello", expected)) is None
    path.write_bytes(b"hello")
    assert "not git-blob:ce0136" in find_damage(path, DataFile("hello", expected))
