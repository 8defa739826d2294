"""Bytes of a checkpoint that have changed are noticed."""

import zipfile

import pytest
import torch
from safetensors.torch import save_file

from convnext_dense.errors import CheckpointError
from convnext_dense.weights.storage.checksums import verify_checksums
from convnext_dense.weights.storage.files import read_file


@pytest.fixture
def checkpoint(tmp_path):
    torch.save(dict(state_dict={str(i): torch.rand(5000) for i in range(4)}), tmp_path / 'a.pth')
    return tmp_path / 'a.pth'


def damage(path, start, length=64):
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(length)
    path.write_bytes(content)


class TestVerifyChecksums:
    @pytest.mark.parametrize('part', range(4))
    def test_finds_zeroes_in_any_tensor(self, part, checkpoint):
        with zipfile.ZipFile(checkpoint) as archive:
            record = archive.getinfo(f'a/data/{part}')
        damage(checkpoint, record.header_offset + 5000)
        # PyTorch takes it.
        assert read_file(checkpoint)['state_dict']
        with pytest.raises(CheckpointError, match=rf'a\.pth is damaged: the checksum of a/data/{part}'):
            verify_checksums(checkpoint)

    def test_notices_a_file_that_changes(self, checkpoint):
        verify_checksums(checkpoint)
        damage(checkpoint, 30000)
        with pytest.raises(CheckpointError):
            verify_checksums(checkpoint)

    def test_takes_files_without_checksums(self, tmp_path):
        weights = {'a': torch.rand(9)}
        save_file(weights, tmp_path / 'a.safetensors')
        torch.save(weights, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
        torch.serialization.set_crc32_options(False)
        try:
            torch.save(weights, tmp_path / 'none.pth')
        finally:
            torch.serialization.set_crc32_options(True)
        for path in tmp_path.iterdir():
            verify_checksums(path)
        verify_checksums('https://example.com/a.pth')
