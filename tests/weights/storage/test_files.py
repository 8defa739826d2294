"""Reading and writing checkpoint files, good and bad."""

import argparse
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from convnext_dense.errors import CheckpointError
from convnext_dense.weights.storage.files import read_file, write_file

UMASK = os.umask(0)
os.umask(UMASK)
WEIGHTS = {'a': torch.arange(3.0), 'b.c': torch.ones(2, 2, dtype=torch.bfloat16)}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype
        assert torch.equal(tensor, other[name])


class TestReading:
    @pytest.mark.parametrize('zipped', [True, False])
    @pytest.mark.parametrize('suffix', ['.pth', '.pt', '.bin'])
    def test_torchs_formats(self, suffix, zipped, tmp_path):
        torch.save(WEIGHTS, tmp_path / f'x{suffix}', _use_new_zipfile_serialization=zipped)
        assert_same(read_file(tmp_path / f'x{suffix}'), WEIGHTS)

    def test_safetensors(self, tmp_path):
        save_file(WEIGHTS, tmp_path / 'x.safetensors')
        assert_same(read_file(tmp_path / 'x.safetensors'), WEIGHTS)

    def test_the_arguments_in_official_training_checkpoints(self, tmp_path):
        torch.save(dict(model=WEIGHTS, args=argparse.Namespace(lr=0.1)), tmp_path / 'x.pth')
        # Other libraries, such as timm, allow it for a while too, and remove it again.
        with torch.serialization.safe_globals([argparse.Namespace]):
            pass
        assert_same(read_file(tmp_path / 'x.pth')['model'], WEIGHTS)


class TestBadFiles:
    def refused(self, path):
        with pytest.raises(CheckpointError) as error:
            read_file(path)
        assert str(path) in str(error.value)
        return str(error.value)

    def test_absent(self, tmp_path):
        assert 'there is no checkpoint file' in self.refused(tmp_path / 'x.pth')

    @pytest.mark.parametrize('name', ['x.pth', 'x.safetensors'])
    def test_empty(self, name, tmp_path):
        (tmp_path / name).touch()
        assert 'is empty' in self.refused(tmp_path / name)

    @pytest.mark.parametrize('kept', [0.01, 0.5, 0.99])
    def test_cut_short(self, kept, tmp_path):
        torch.save({'w': torch.rand(1000)}, tmp_path / 'whole.pth')
        content = (tmp_path / 'whole.pth').read_bytes()
        (tmp_path / 'x.pth').write_bytes(content[: int(len(content) * kept)])
        assert 'is cut short' in self.refused(tmp_path / 'x.pth')

    @pytest.mark.parametrize('kept', [4, 60, -10])
    def test_safetensors_cut_short(self, kept, tmp_path):
        save_file(WEIGHTS, tmp_path / 'whole.safetensors')
        (tmp_path / 'x.safetensors').write_bytes((tmp_path / 'whole.safetensors').read_bytes()[:kept])
        assert 'damaged' in self.refused(tmp_path / 'x.safetensors')

    @pytest.mark.parametrize('name', ['x.pth', 'x.safetensors'])
    @pytest.mark.parametrize('content', [b'<html>404</html>', b'\x80\x04K\x01.', bytes(range(256)), b'hello' * 999])
    def test_no_checkpoint(self, name, content, tmp_path):
        (tmp_path / name).write_bytes(content)
        assert 'damaged, or' in self.refused(tmp_path / name)

    @pytest.mark.parametrize('content', [torch.rand(3), [1, 2], 'text'])
    def test_no_dict(self, content, tmp_path):
        torch.save(content, tmp_path / 'x.pth')
        assert f'holds a {type(content).__name__}' in self.refused(tmp_path / 'x.pth')

    @pytest.mark.parametrize('save', [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
    def test_code_is_refused_and_does_not_run(self, save, code, tmp_path):
        save({'state_dict': code(tmp_path / 'ran')}, tmp_path / 'x.pth')
        self.refused(tmp_path / 'x.pth')
        assert not (tmp_path / 'ran').exists()

    def test_code_is_named(self, code, tmp_path):
        torch.save({'state_dict': code(tmp_path / 'ran')}, tmp_path / 'x.pth')
        assert 'open, which could run code' in self.refused(tmp_path / 'x.pth')

    def test_a_whole_pickled_module_is_refused_with_what_to_do(self, tmp_path):
        torch.save(torch.nn.Linear(1, 1), tmp_path / 'x.pth')
        message = self.refused(tmp_path / 'x.pth')
        assert 'torch.nn.modules.linear.Linear' in message
        assert 'save its state_dict alone' in message


class TestWriting:
    @pytest.mark.parametrize('suffix', ['.pth', '.pt', '.safetensors'])
    def test_gives_back_the_weights_and_the_datasets_names(self, suffix, tmp_path):
        path = tmp_path / 'new' / f'x{suffix}'
        meta = dict(dataset_meta=dict(classes=('a', 'b'), palette=[[1, 2, 3]]))
        write_file(path, WEIGHTS | {'view': torch.rand(4, 4).T}, meta)
        content = read_file(path)
        assert_same({name: content['state_dict'][name] for name in WEIGHTS}, WEIGHTS)
        assert list(content['meta']['dataset_meta']['classes']) == ['a', 'b']
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        assert path.stat().st_mode & 0o777 == 0o666 & ~UMASK

    def test_never_overwrites(self, tmp_path):
        (tmp_path / 'x.pth').write_text('precious')
        with pytest.raises(CheckpointError, match='is there already'):
            write_file(tmp_path / 'x.pth', WEIGHTS)
        assert (tmp_path / 'x.pth').read_text() == 'precious'

    def test_an_unknown_ending(self, tmp_path):
        with pytest.raises(CheckpointError, match=r'must end in one of \.pth, \.pt, \.safetensors'):
            write_file(tmp_path / 'x.onnx', WEIGHTS)

    def test_no_place(self, tmp_path):
        (tmp_path / 'file').touch()
        with pytest.raises(CheckpointError, match='cannot be written'):
            write_file(tmp_path / 'file' / 'x.pth', WEIGHTS)
