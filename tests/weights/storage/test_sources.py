"""Where weights come from, over a server on this machine that stands for the web and for Hugging Face."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from helpers.weights.backbones_and_sources import random_state, v1
from helpers.weights.web import serve
from huggingface_hub import constants, file_download, utils
from mmengine.runner import CheckpointLoader, load_checkpoint
from safetensors.torch import save_file

from convnext_dense.backbones import TimmBackbone
from convnext_dense.backbones.timm_backbone import timm_weights
from convnext_dense.errors import CheckpointError
from convnext_dense.weights import load_pretrained, read_weights
from convnext_dense.weights.published import PUBLISHED, Published
from convnext_dense.weights.storage import downloads, sources
from convnext_dense.weights.storage.downloads import LOCK

OFFICIAL = PUBLISHED['convnext_tiny_in1k'].address


@pytest.fixture
def web(tmp_path):
    """A folder, and the address at which it is served."""
    folder = tmp_path / 'web'
    folder.mkdir()
    with serve(folder) as address:
        yield folder, address


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """PyTorch's folder of downloads."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def weights():
    torch.manual_seed(1)
    return random_state(v1())


def assert_loads(source, weights):
    ours = v1()
    load_pretrained(ours, source)
    assert torch.equal(ours.stages[0][0].dwconv.weight, weights['stages.0.0.dwconv.weight'])


@pytest.fixture
def hub(web, tmp_path, monkeypatch):
    """The served folder, as Hugging Face's client sees it, with an empty cache."""
    folder, address = web
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
    # The client of transformers 4 has a copy.
    for module in (constants, file_download):
        monkeypatch.setattr(module, 'HUGGINGFACE_CO_URL_TEMPLATE', template, raising=False)
    monkeypatch.setattr(constants, 'ENDPOINT', address)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hf'))
    return folder


@pytest.fixture
def offline(monkeypatch):
    """Let Hugging Face's client reach nothing; that of transformers 4 asks when it opens a session."""
    reset = getattr(utils, 'reset_sessions', lambda: None)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    reset()
    yield
    monkeypatch.undo()
    reset()


def files(folder):
    return [file for file in folder.glob('*') if file.suffix != LOCK]


class TestWeb:
    def test_an_address_is_fetched_once_and_kept(self, web, weights, cache):
        folder, address = web
        torch.save(weights, folder / 'a.pth')
        assert_loads(f'{address}/a.pth', weights)
        (folder / 'a.pth').unlink()
        assert len(files(cache)) == 1
        assert_loads(f'{address}/a.pth', weights)

    def test_safetensors_are_fetched_too(self, web, weights):
        folder, address = web
        save_file(weights, folder / 'a.safetensors')
        assert_loads(f'{address}/a.safetensors?download=1', weights)

    def test_files_of_one_name_are_kept_apart(self, web, weights):
        folder, address = web
        for name, more in (('one', 0), ('two', 1)):
            (folder / name).mkdir()
            torch.save({key: tensor + more for key, tensor in weights.items()}, folder / name / 'model.pth')
        for name, more in (('one', 0), ('two', 1)):
            assert_loads(f'{address}/{name}/model.pth', {key: tensor + more for key, tensor in weights.items()})

    @pytest.mark.parametrize('address', ['https://download.openmmlab.com/a-01234567.pth', OFFICIAL])
    def test_a_publishers_file_keeps_its_name(self, address, weights, cache):
        cache.mkdir(parents=True)
        torch.save(weights, cache / Path(address).name)
        assert_loads(address, weights)

    def test_a_file_whose_digest_is_not_the_names_is_refused(self, web, weights, cache, monkeypatch):
        folder, address = web
        monkeypatch.setattr(downloads, 'WITH_DIGESTS', address)
        torch.save(weights, folder / 'a-01234567.pth')
        with pytest.raises(CheckpointError, match='invalid hash value'):
            read_weights(f'{address}/a-01234567.pth')
        assert not files(cache)

    def test_a_date_is_no_digest(self, web, weights):
        folder, address = web
        torch.save(weights, folder / 'a-20230101.pth')
        assert_loads(f'{address}/a-20230101.pth', weights)

    def test_an_absent_file_says_where_to_put_it(self, web, cache):
        _, address = web
        with pytest.raises(CheckpointError) as error:
            read_weights(f'{address}/b.pth')
        for part in (f'{address}/b.pth could not be fetched', '404', f'put it at {cache / "b-"}'):
            assert part in str(error.value)

    def test_no_network_says_so(self):
        with pytest.raises(CheckpointError, match=r'http://127\.0\.0\.1:9/c\.pth could not be fetched'):
            read_weights('http://127.0.0.1:9/c.pth')

    def test_processes_of_a_distributed_run_fetch_it(self, web, weights, tmp_path):
        folder, address = web
        torch.save(weights, folder / 'a.pth')
        torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1)
        try:
            assert_loads(f'{address}/a.pth', weights)
        finally:
            torch.distributed.destroy_process_group()


class TestHub:
    @pytest.mark.parametrize(
        ('source', 'repository', 'file'),
        [
            ('timm://convnext_atto.d2_in1k', 'timm/convnext_atto.d2_in1k', 'model.safetensors'),
            ('convnext_atto_d2_in1k', 'timm/convnext_atto.d2_in1k', 'model.safetensors'),
            ('convnext_tiny_eupe', 'timm/convnext_tiny.eupe_lvd1689m', 'model.safetensors'),
            ('huggingface://org/name', 'org/name', 'model.safetensors'),
            ('huggingface://org/name', 'org/name', 'pytorch_model.bin'),
            ('huggingface://org/name/sub/x.safetensors', 'org/name', 'sub/x.safetensors'),
        ],
    )
    def test_fetches_a_repositorys_weights(self, source, repository, file, hub, weights):
        path = hub / repository / 'resolve' / 'main' / file
        path.parent.mkdir(parents=True)
        (save_file if path.suffix == '.safetensors' else torch.save)(weights, path)
        assert_loads(source, weights)

    @pytest.mark.parametrize('in_channels', [1, 2, 4, 6])
    def test_a_timm_backbone_starts_from_its_repository(self, hub, in_channels):
        path = hub / 'timm/resnet10t.c3_in1k/resolve/main/model.safetensors'
        path.parent.mkdir(parents=True)
        published = timm.create_model('resnet10t').state_dict()
        save_file(published, path)
        init_cfg = dict(type='Pretrained', checkpoint=timm_weights('resnet10t'))
        backbone = TimmBackbone('resnet10t', in_channels=in_channels, init_cfg=init_cfg)
        backbone.init_weights()
        own = backbone.model.state_dict()
        # The stem is adapted, the classifier dropped, and all else loaded as it is.
        adapted = timm.models.adapt_input_conv(in_channels, published['conv1.0.weight'])
        assert torch.equal(own['conv1.0.weight'], adapted)
        assert published.keys() - own.keys() == {'fc.weight', 'fc.bias'}
        assert all(torch.equal(own[key], published[key]) for key in own if key != 'conv1.0.weight')

    def test_an_absent_repository_says_where_to_put_its_file(self, hub, cache):
        with pytest.raises(CheckpointError) as error:
            read_weights('huggingface://org/other')
        for part in (
            'the weights of org/other could not be fetched from https://huggingface.co/org/other',
            'fetch its model.safetensors or pytorch_model.bin',
            f'put it at {cache / "org--other.safetensors"} or {cache / "org--other.bin"}',
        ):
            assert part in str(error.value)

    def test_no_network_says_so(self, hub, offline):
        with pytest.raises(CheckpointError, match=r'weights of timm/convnext_tiny\.dinov3.* \(no connection\)'):
            read_weights('timm://convnext_tiny.dinov3_lvd1689m')

    def test_a_file_put_there_is_used(self, weights, cache):
        cache.mkdir(parents=True)
        save_file(weights, cache / 'timm--convnext_atto.d2_in1k.safetensors')
        assert_loads('timm://convnext_atto.d2_in1k', weights)

    def test_an_address_of_the_hub_is_the_hubs(self, weights, cache):
        cache.mkdir(parents=True)
        save_file(weights, cache / 'org--name--a.safetensors')
        assert_loads('https://huggingface.co/org/name/resolve/main/a.safetensors', weights)

    @pytest.mark.parametrize('spoil', [lambda weights: weights[:-50], lambda weights: b'<html>'])
    def test_a_damaged_file_says_so(self, spoil, hub, weights):
        path = hub / 'org/name/resolve/main/pytorch_model.bin'
        path.parent.mkdir(parents=True)
        torch.save(weights, path)
        path.write_bytes(spoil(path.read_bytes()))
        with pytest.raises(CheckpointError, match=r'of https://huggingface\.co/org/name is damaged'):
            read_weights('huggingface://org/name')

    def test_code_in_a_file_does_not_run(self, hub, code, tmp_path):
        path = hub / 'org/name/resolve/main/pytorch_model.bin'
        path.parent.mkdir(parents=True)
        torch.save(dict(state_dict=code(tmp_path / 'ran')), path)
        with pytest.raises(CheckpointError, match='holds more than weights'):
            read_weights('huggingface://org/name')
        assert not (tmp_path / 'ran').exists()

    def test_half_a_repositorys_name(self):
        with pytest.raises(CheckpointError, match='a repository is named as huggingface://ORG/NAME'):
            read_weights('huggingface://facebook')

    def test_a_name_that_timm_does_not_know(self):
        with pytest.raises(CheckpointError, match='timm knows no weights of that name'):
            read_weights('timm://convnext_tiny.imaginary')


class TestNames:
    def test_log_their_license_and_address(self, web, weights, monkeypatch):
        folder, address = web
        torch.save(weights, folder / 'a.pth')
        printed = []
        monkeypatch.setitem(PUBLISHED, 'convnext_atto_test', Published(f'{address}/a.pth', 'MIT'))
        monkeypatch.setattr(sources, 'print_log', lambda text, **_: printed.append(text))
        assert_loads('convnext_atto_test', weights)
        assert printed == [f'convnext_atto_test: weights from {address}/a.pth, license MIT.']

    def test_a_file_of_that_name_comes_first(self, weights, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        torch.save(weights, 'convnext_tiny_in1k')
        assert_loads('convnext_tiny_in1k', weights)

    def test_a_wrong_name_shows_similar_ones(self):
        with pytest.raises(CheckpointError, match=r'no checkpoint file convnext_tiny_in2k.*convnext_tiny_in22k'):
            read_weights('convnext_tiny_in2k')


class TestTorchvision:
    @pytest.mark.parametrize('name', ['convnext_tiny', 'convnext_tiny.imagenet1k_v1'])
    def test_names_stand_for_its_addresses(self, name, weights, cache):
        cache.mkdir(parents=True)
        address = torchvision.models.ConvNeXt_Tiny_Weights.IMAGENET1K_V1.url
        torch.save(weights, cache / Path(address).name)
        assert_loads(f'torchvision://{name}', weights)

    def test_a_wrong_name(self):
        with pytest.raises(CheckpointError, match=r'torchvision has no weights of that name.*convnext_tiny'):
            read_weights('torchvision://convnext_tony')


class TestLoadFrom:
    """As mmengine's runner reads a checkpoint."""

    def test_reads_safetensors(self, weights, tmp_path):
        save_file({f'backbone.{name}': t for name, t in weights.items()}, tmp_path / 'x.safetensors')
        model = torch.nn.ModuleDict(dict(backbone=v1()))
        load_checkpoint(model, str(tmp_path / 'x.safetensors'))
        assert torch.equal(model['backbone'].norm3.bias, weights['norm3.bias'])

    def test_an_absent_file_is_named(self):
        with pytest.raises(CheckpointError, match=r'there is no checkpoint file nowhere\.pth'):
            load_checkpoint(torch.nn.ModuleDict(dict(backbone=v1())), 'nowhere.pth')

    @pytest.mark.parametrize('wrapper', ['model', 'model_ema', 'teacher'])
    def test_unwraps_a_whole_model(self, wrapper, weights, save):
        model = torch.nn.ModuleDict(dict(backbone=v1(), head=torch.nn.Linear(1, 1)))
        whole = {f'backbone.{name}': t for name, t in weights.items()} | {'head.bias': torch.ones(1) * 5}
        load_checkpoint(model, save({wrapper: whole, 'epoch': 3}))
        assert model['head'].bias == 5
        assert torch.equal(model['backbone'].norm3.bias, weights['norm3.bias'])


def test_mmengines_log_names_the_backend():
    places = ['a.pth', 'http://a.pth', 'https://a.pth', 'timm://a', 'huggingface://a/b', 's3://a', 'torchvision://a']
    names = [CheckpointLoader._get_checkpoint_loader(place).__name__ for place in places]
    backends = ['local', 'http', 'http', 'timm', 'huggingface', 'ceph', 'torchvision']
    assert names == [f'load_from_{backend}' for backend in backends]


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match='is a folder'):
        read_weights(str(tmp_path))


def test_init_cfg_reads_what_mmengine_reads(weights, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', CheckpointLoader._schemes)
    CheckpointLoader.register_scheme('bucket://', lambda source, map_location: dict(state_dict=weights))
    assert_loads('bucket://x.pth', weights)
    with pytest.raises(CheckpointError, match='no checkpoint file nobody://x'):
        read_weights('nobody://x')
