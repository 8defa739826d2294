"""Ours equal transformers' RT-DETRv2 and D-FINE with the same weights: maps, predictions, and every loss."""

from collections import OrderedDict
from itertools import pairwise

import pytest
import torch
import transformers
from helpers.published_detrs import LAYERS, SIZE, VARIANTS, make_objects, make_pair, make_whole_pair, step
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import load_checkpoint
from transformers.loss.loss_d_fine import DFineLoss

from convnext_dense.detectors.realtime_detr.losses.criterion import Criterion
from convnext_dense.detectors.realtime_detr.losses.matching import match, unite
from convnext_dense.errors import CheckpointError
from convnext_dense.evaluation.strict_load_runner import StrictLoadRunner
from convnext_dense.weights import read_weights

VERSION = tuple(map(int, transformers.__version__.split('.')[:2]))
# Before it, transformers counted the denoising queries among the last layer's in its losses.
needs_its_losses = pytest.mark.skipif(VERSION < (5, 23), reason='losses of another form')
# transformers 4 is as far as 2e-4 from transformers 5.
TOLERANCE = 1e-4 if VERSION >= (5,) else 5e-4
# transformers' names of the terms, and ours.
TERMS = dict(loss_vfl='loss_cls', loss_bbox='loss_bbox', loss_giou='loss_iou', loss_fgl='loss_fgl', loss_ddf='loss_ddf')


def assert_close(theirs, ours):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.fixture(scope='module', params=['RTDetrV2', 'DFine'])
def training_step(request):
    """Return transformers' outputs of a step in training, ours with the same noise, and both models."""
    theirs, ours = make_pair(request.param)
    return (*step(theirs, ours), theirs, ours)


class TestPublishedDETRs:
    @pytest.mark.parametrize('variant', VARIANTS)
    def test_outputs_equal_those_of_transformers(self, variant):
        theirs, ours = make_pair(variant)
        assert ours.names_left == []
        theirs.eval()
        ours.eval()
        for size in (SIZE, (224, 32)):
            images = torch.randn(1, 3, *size)
            with torch.no_grad():
                expected, maps = theirs(images), ours.extract_feat(images)
                (predictions,) = ours.bbox_head(maps)
            for fmap, published in zip(maps, expected.encoder_last_hidden_state, strict=True):
                assert_close(published, fmap)
            assert_close(expected.logits, predictions.logits)
            assert_close(expected.pred_boxes, predictions.boxes)

    @pytest.mark.skipif(VERSION < (5,), reason='noise of another form')
    def test_every_layer_predicts_the_same_in_training(self, training_step):
        outputs, _, (layers, encoder, *_), _, _ = training_step
        for i, layer in enumerate(layers):
            assert_close(outputs.intermediate_logits[:, i], layer.logits)
            assert_close(outputs.intermediate_reference_points[:, i], layer.boxes)
        assert_close(outputs.enc_topk_logits, encoder.logits)
        assert_close(outputs.enc_topk_bboxes, encoder.boxes)
        for i, layer in enumerate(layer for layer in layers if layer.edges is not None):
            assert_close(outputs.intermediate_predicted_corners[:, i], layer.edges)
            assert_close(outputs.initial_reference_points[:, i], layer.initial_boxes)

    @needs_its_losses
    def test_losses_equal_those_of_transformers(self, training_step):
        outputs, losses, caught, _, ours = training_step
        suffixes = {'': '', f'_aux_{LAYERS - 1}': 'enc_', f'_dn_{LAYERS - 1}': 'dn_'}
        for i in range(LAYERS - 1):
            suffixes |= {f'_aux_{i}': f'd{i}.', f'_dn_{i}': f'd{i}.dn_'}
        if caught[0][-1].edges is not None:
            losses = losses_as_transformers_pairs_layers(ours.bbox_head.decoder.bins, *caught)
        expected = {
            f'{prefix}{ours}': outputs.loss_dict[theirs + suffix]
            for suffix, prefix in suffixes.items()
            for theirs, ours in TERMS.items()
            if theirs + suffix in outputs.loss_dict
        }
        assert len(expected) == len(outputs.loss_dict)
        # The last layer's distance from itself, which ours leaves out.
        assert {name for name in expected if name not in losses} <= {'dn_loss_ddf'}
        assert losses.keys() <= expected.keys()
        for name, loss in losses.items():
            assert_close(expected[name], loss)

    @needs_its_losses
    def test_losses_of_united_matches_equal_those_of_transformers(self):
        theirs, ours = make_pair('DFine')
        _, losses, (layers, encoder, targets, denoising), *_ = step(theirs, ours)
        own = [clamp(layer).split(denoising.labels.shape[1])[1] for layer in layers]
        united = unite([match(layer, targets) for layer in (*own, encoder)])
        count = sum(len(queries) for queries, _ in united)
        assert count > sum(len(target.labels) for target in targets)
        criterion = DFineLoss(theirs.config)
        for prefix, layer in zip(('d0.', 'd1.', ''), own[1:], strict=True):
            outputs = dict(
                pred_boxes=layer.boxes,
                pred_corners=layer.edges,
                ref_points=layer.initial_boxes,
                teacher_corners=own[-1].edges,
                teacher_logits=own[-1].logits,
            )
            terms = criterion.loss_boxes(outputs, make_objects(), united, count)
            terms |= criterion.loss_local(outputs, make_objects(), united, count)
            for name, term in terms.items():
                ours = losses.get(prefix + TERMS[name], torch.tensor(0.0))
                assert_close(term * criterion.weight_dict[name], ours)

    @needs_its_losses
    def test_gradients_equal_those_of_transformers(self, training_step):
        outputs, losses, caught, theirs, ours = training_step
        if caught[0][-1].edges is not None:
            losses = losses_as_transformers_pairs_layers(ours.bbox_head.decoder.bins, *caught)
        sum(losses.values()).backward()
        weights = (ours.neck.input_projections[0][0].weight, ours.bbox_head.decoder.query_pos_head.layers[0].weight)
        gradients = [weight.grad for weight in weights]
        outputs.loss.backward()
        model = theirs.model
        weights = (model.encoder_input_proj[0][0].weight, model.decoder.query_pos_head.layers[0].weight)
        for weight, gradient in zip(weights, gradients, strict=True):
            torch.testing.assert_close(gradient, weight.grad, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize('kind', ['RTDetrV2', 'DFine'])
    def test_a_file_saved_by_transformers_loads(self, kind, tmp_path):
        theirs, ours = make_pair(kind)
        theirs.save_pretrained(tmp_path)
        weights = read_weights(str(tmp_path / 'model.safetensors'))
        expected = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
        for tensor in ours.neck.parameters():
            tensor.data.zero_()
        missing, unexpected = ours.load_state_dict(weights, strict=False)
        assert [name for name in (*missing, *unexpected) if not name.startswith('backbone.')] == []
        assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())

    @pytest.mark.parametrize('kind', ['RTDetrV2', 'RTDetrV2, 18 layers', 'DFine'])
    def test_with_its_backbone_a_file_loads_whole(self, kind, tmp_path):
        theirs, ours = make_whole_pair(kind)
        theirs.save_pretrained(tmp_path)
        load_checkpoint(ours, str(tmp_path / 'model.safetensors'), strict=True)
        theirs.eval()
        ours.eval()
        images = torch.randn(1, 3, *SIZE)
        with torch.no_grad():
            expected, (predictions,) = theirs(images), ours(images)
        assert_close(expected.logits, predictions.logits)
        assert_close(expected.pred_boxes, predictions.boxes)

    def test_a_file_of_other_classes_is_one_sentence(self, tmp_path, monkeypatch):
        # A runner sets it for all that follows.
        monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
        theirs, _ = make_whole_pair('DFine')
        theirs.save_pretrained(tmp_path)
        _, model = make_whole_pair('DFine', num_classes=4)
        runner = StrictLoadRunner(model, str(tmp_path), experiment_name=str(tmp_path))
        with pytest.raises(CheckpointError, match=r'is no checkpoint of this model: .*\.enc_score_head\.weight'):
            runner.load_checkpoint(str(tmp_path / 'model.safetensors'))


def clamp(layer):
    return layer._replace(boxes=layer.boxes.clamp(0, 1))


def losses_as_transformers_pairs_layers(bins, layers, encoder, targets, denoising):
    """Return D-FINE's losses with a layer's scores and boxes, the next layer's edges, and each layer's own matches.

    transformers pairs them so: it puts the first layer's boxes before refinement in front of the scores and boxes, and
    nothing in front of the edges. The last layer's edges and the last but one's scores have no loss.
    """
    noisy, own = zip(*(clamp(layer).split(denoising.labels.shape[1]) for layer in layers), strict=True)
    criterion = Criterion(targets, bins=bins)

    def shift(parts):
        return [part._replace(edges=after.edges, initial_boxes=after.initial_boxes) for part, after in pairwise(parts)]

    named = {f'd{i}.': part for i, part in enumerate(shift(own)[:-1])}
    named |= {'enc_': encoder, '': own[-1]._replace(edges=None)}
    matches = {prefix: match(part, targets) for prefix, part in named.items()}
    losses = criterion.losses_of(named, matches, matches, (criterion.num_objects,) * 2, own[-1])
    named = {f'd{i}.dn_': part for i, part in enumerate(shift(noisy))}
    named['dn_'] = named.pop(f'd{LAYERS - 1}.dn_')
    matches = dict.fromkeys(named, denoising.matches)
    counts = (criterion.num_objects * denoising.num_groups,) * 2
    return losses | criterion.losses_of(named, matches, matches, counts, noisy[-1])
