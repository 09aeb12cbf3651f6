"""What a run says it has written is on disk: synchronised with all its bytes, before anything rests on it."""

import os

import pytest

from tests.validation.builders import make_manifest, make_result
from validation.child import worker
from validation.contract.errors import UsageError
from validation.run import results


@pytest.fixture
def synchronised(monkeypatch):
    """Inodes of the files that were synchronised, each with the size it had then."""
    found = {}

    def recording(function):
        def call(descriptor):
            function(descriptor)
            status = os.fstat(descriptor)
            found[status.st_ino] = status.st_size

        return call

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, recording(getattr(os, name)))
    return found


def is_on_disk(path, synchronised):
    status = path.stat()
    return synchronised.get(status.st_ino) == status.st_size


@pytest.fixture
def folder(tmp_path):
    return results.RunFolder.create(tmp_path / "run", make_manifest(("case-0", "case-1", "case-2")))


def test_every_line_is_on_disk_when_append_returns(folder, synchronised):
    path = folder.path / results.RESULTS
    for number in range(3):
        folder.append(make_result(f"case-{number}"))
        assert is_on_disk(path, synchronised)


def test_the_manifest_is_on_disk_under_its_final_name(tmp_path, synchronised):
    folder = results.RunFolder.create(tmp_path / "run", make_manifest())
    assert is_on_disk(folder.path / results.MANIFEST, synchronised)


def test_a_torn_line_is_on_disk_beside_the_file_it_was_cut_from(folder, synchronised):
    path = folder.path / results.RESULTS
    folder.append(make_result("case-0"))
    with path.open("ab") as file:
        file.write(b"torn")
    synchronised.clear()
    aside = folder.set_torn_line_aside()
    assert is_on_disk(aside, synchronised)
    assert is_on_disk(path, synchronised)


def test_a_line_that_could_not_be_synchronised_is_taken_back(folder, monkeypatch):
    folder.append(make_result("case-0"))
    before = (folder.path / results.RESULTS).read_bytes()

    def fail(descriptor):
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError, match=r"cannot be written: input/output error; nothing on record is lost"):
        folder.append(make_result("case-1"))
    assert (folder.path / results.RESULTS).read_bytes() == before


def test_a_reply_has_its_name_only_when_it_is_on_disk(tmp_path, synchronised, monkeypatch):
    renamed = []

    def replace(source, target, real=os.replace):
        status = os.stat(source)
        renamed.append(synchronised.get(status.st_ino) == status.st_size)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    worker.write_reply(str(tmp_path / "reply.json"), b"{}")
    assert renamed == [True]
    assert (tmp_path / "reply.json").read_bytes() == b"{}"
