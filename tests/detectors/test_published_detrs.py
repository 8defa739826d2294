"""Ours equal transformers' RT-DETRv2 and D-FINE with the same weights: maps, predictions, and every loss."""

import pytest
import torch
from helpers.published_detrs import LAYERS, as_samples, make_objects, make_ours, make_theirs
from transformers.loss.loss_d_fine import DFineLoss

from convnext_dense.detectors.realtime_detr.losses.criterion import Criterion
from convnext_dense.detectors.realtime_detr.losses.matching import match, unite

KINDS = ('RTDetrV2', 'DFine')
SIZE = (96, 160)
# transformers' settings, and ours of the neck and of the head.
VARIANTS = {
    'RTDetrV2': ('RTDetrV2', {}, {}, {}),
    'RTDetrV2, discrete sampling': ('RTDetrV2', dict(decoder_method='discrete'), {}, dict(sampling='discrete')),
    'RTDetrV2, half width': ('RTDetrV2', dict(hidden_expansion=0.5), dict(expansion=0.5), {}),
    'DFine': ('DFine', {}, {}, {}),
    'DFine, points by map': ('DFine', dict(decoder_n_points=[3, 6, 3]), {}, dict(num_points=[3, 6, 3])),
    'DFine, small': (
        'DFine',
        dict(depth_mult=0.34, hidden_expansion=0.5),
        dict(num_blocks=1, expansion=0.5),
        {},
    ),
    'DFine, wide bins': ('DFine', dict(reg_scale=8.0, max_num_bins=16), {}, dict(reg_scale=8.0, num_bins=16)),
}
TERMS = dict(vfl='cls', bbox='bbox', giou='iou', fgl='fgl', ddf='ddf')


def close(theirs, ours):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def make_pair(variant):
    kind, settings, neck, head = VARIANTS[variant]
    theirs = make_theirs(kind, **settings)
    return theirs, make_ours(kind, theirs, neck, **head)


@pytest.fixture(scope='module', params=KINDS)
def trained_pair(request):
    """Return a step of transformers' model in training, of ours with the same noise, and our model."""
    theirs, ours = make_pair(request.param)
    theirs.train()
    ours.train()
    images, labels = torch.randn(2, 3, *SIZE), make_objects()
    caught = []
    weigh = ours.bbox_head._losses
    ours.bbox_head._losses = lambda *parts: caught.extend(parts) or weigh(*parts)
    torch.manual_seed(2)
    outputs = theirs(images, labels=labels)
    torch.manual_seed(2)
    losses = ours.loss(images, as_samples(labels, SIZE))
    return request.param, outputs, losses, caught, ours.bbox_head, theirs.config


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
                close(published, fmap)
            close(expected.logits, predictions.logits)
            close(expected.pred_boxes, predictions.boxes)

    def test_every_layer_predicts_the_same_in_training(self, trained_pair):
        _, outputs, _, (layers, encoder, *_), _, _ = trained_pair
        for i, layer in enumerate(layers):
            close(outputs.intermediate_logits[:, i], layer.logits)
            close(outputs.intermediate_reference_points[:, i].clamp(0, 1), layer.boxes)
        close(outputs.enc_topk_logits, encoder.logits)
        close(outputs.enc_topk_bboxes, encoder.boxes)
        edged = [layer for layer in layers if layer.edges is not None]
        for i, layer in enumerate(edged):
            close(outputs.intermediate_predicted_corners[:, i], layer.edges)
            close(outputs.initial_reference_points[:, i], layer.initial_boxes)

    def test_losses_equal_those_of_transformers(self, trained_pair):
        kind, outputs, losses, caught, head, _ = trained_pair
        if kind == 'DFine':
            losses = losses_as_transformers_pairs_layers(head, *caught)
        prefixes = {'': '', f'_aux_{LAYERS - 1}': 'enc_'} if kind == 'RTDetrV2' else {'': ''}
        for i in range(LAYERS):
            prefixes.setdefault(f'_aux_{i}', f'd{i}.')
            prefixes[f'_dn_{i}'] = f'd{i}.dn_' if kind == 'DFine' or i < LAYERS - 1 else 'dn_'
        renamed = {
            f'loss_{theirs}{suffix}': losses.pop(f'{prefix}loss_{ours}')
            for suffix, prefix in prefixes.items()
            for theirs, ours in TERMS.items()
            if f'{prefix}loss_{ours}' in losses
        }
        assert losses == {}
        expected = {name: loss for name, loss in outputs.loss_dict.items() if name in renamed or loss != 0}
        assert renamed.keys() == expected.keys()
        for name, loss in expected.items():
            close(loss, renamed[name])

    def test_united_losses_equal_terms_of_transformers(self):
        theirs, ours = make_pair('DFine')
        ours.train()
        labels = make_objects()
        samples = as_samples(labels, SIZE)
        caught = []
        ours.bbox_head._losses = lambda *parts: caught.extend(parts) or {}
        ours.loss(torch.randn(2, 3, *SIZE), samples)
        layers, encoder, targets, denoising = caught
        layers = [layer.split(denoising.labels.shape[1])[1]._replace(boxes=None) for layer in layers]
        layers = [
            part._replace(boxes=whole.split(denoising.labels.shape[1])[1].boxes.clamp(0, 1))
            for part, whole in zip(layers, caught[0], strict=True)
        ]
        head = ours.bbox_head
        losses = Criterion(targets, 'vfl', (head.decoder.bin_distances, head.decoder.reg_scale)).decoder_losses(
            layers, encoder
        )
        united = unite([match(layer, targets) for layer in (*layers, encoder)])
        assert sum(len(queries) for queries, _ in united) > sum(len(target.labels) for target in targets)
        criterion = DFineLoss(theirs.config)
        for prefix, layer in (('d0.', layers[1]), ('d1.', layers[2]), ('', layers[3])):
            outputs = dict(
                logits=layer.logits,
                pred_boxes=layer.boxes,
                pred_corners=layer.edges,
                ref_points=layer.initial_boxes,
                teacher_corners=layers[3].edges,
                teacher_logits=layers[3].logits,
            )
            count = sum(len(queries) for queries, _ in united)
            terms = criterion.loss_boxes(outputs, labels, united, count)
            terms |= criterion.loss_local(outputs, labels, united, count)
            for name, term in terms.items():
                name = f'{prefix}loss_{TERMS[name.removeprefix("loss_")]}'
                close(
                    term
                    * criterion.weight_dict[f'loss_{list(TERMS)[list(TERMS.values()).index(name.rpartition("_")[2])]}'],
                    losses.get(name, torch.tensor(0.0)),
                )

    @pytest.mark.parametrize('kind', KINDS)
    def test_gradients_equal_those_of_transformers(self, kind):
        theirs, ours = make_pair(kind)
        theirs.eval()
        ours.eval()
        images = torch.randn(1, 3, *SIZE)
        outputs, (predictions,) = theirs(images), ours.bbox_head(ours.extract_feat(images))
        (outputs.logits.sum() + outputs.pred_boxes.square().sum()).backward()
        expected = theirs.model.encoder_input_proj[0][0].weight.grad.clone()
        (predictions.logits.sum() + predictions.boxes.square().sum()).backward()
        close(expected, ours.neck.input_projections[0][0].weight.grad)


def losses_as_transformers_pairs_layers(head, layers, encoder, targets, denoising):
    """Return D-FINE's losses with the boxes of a layer and the edges of the next, and no union of matchings.

    transformers puts the boxes before refinement in front of the layers, and forgets to do so with the edges.
    """
    count = denoising.labels.shape[1]
    noisy, own = zip(*(layer._replace(boxes=layer.boxes.clamp(0, 1)).split(count) for layer in layers), strict=True)
    criterion = Criterion(targets, 'vfl', (head.decoder.bin_distances, head.decoder.reg_scale))

    def shifted(parts):
        edges = [part._asdict() for part in parts[1:]]
        return [
            part._replace(edges=edge['edges'], initial_boxes=edge['initial_boxes'])
            for part, edge in zip(parts, edges, strict=False)
        ]

    named = {f'd{i}.': part for i, part in enumerate(shifted(own)[:-1])}
    named |= {f'd{LAYERS - 1}.': encoder, '': own[-1]._replace(edges=None)}
    matches = {prefix: match(part, targets) for prefix, part in named.items()}
    counts = (criterion.num_objects,) * 2
    losses = criterion.losses_of(named, matches, matches, counts, own[-1])
    named = {f'd{i}.dn_': part for i, part in enumerate(shifted(noisy))}
    matches = dict.fromkeys(named, denoising.matches)
    counts = (criterion.num_objects * denoising.num_groups,) * 2
    return losses | criterion.losses_of(named, matches, matches, counts, noisy[-1])
