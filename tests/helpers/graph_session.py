"""A graph that PyTorch runs, in the place of an exported file."""

import torch

from convnext_dense.export.exporting import ExportOptions, describe_model, graph_names
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.export.tracing import without_hooks
from convnext_dense.inference.pipeline import test_pipeline
from convnext_dense.runtime import Model


class GraphSession:
    """Runs a model's graph without exporting it, which takes seconds."""

    def __init__(self, model, **options):
        chosen = ExportOptions(**options)
        with model._scope():
            self.description = describe_model(
                model.module, model.name, model.classes, model.colors, test_pipeline(model.cfg), chosen
            )
            self.graph = find_graph(without_hooks(model.module), chosen.part, chosen.masks, chosen.output).eval()
        self.names = graph_names(model.module, self.description)[1]

    def run(self, inputs):
        with torch.inference_mode():
            outputs = self.graph(*(torch.from_numpy(value) for value in inputs.values()))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {name: value.numpy() for name, value in zip(self.names, outputs, strict=True)}


def graph_model(model, **options):
    """Return what predicts by a model's graph."""
    return Model(GraphSession(model, **options))
