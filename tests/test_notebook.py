"""The notebook of the docs runs from its first cell to its last."""

import jupytext
import nbclient
import pytest
from helpers.demo_runs import ROOT

NOTEBOOK = ROOT / 'docs' / 'notebooks' / 'first_model.py'


@pytest.mark.full
@pytest.mark.e2e
def test_the_notebook_trains_reports_predicts_and_exports(tmp_path):
    text = NOTEBOOK.read_text()
    short = text.replace('IMAGES, STEPS = 200, 200', 'IMAGES, STEPS = 16, 4')
    assert short != text
    notebook = jupytext.reads(short, 'py:percent')
    nbclient.NotebookClient(notebook, timeout=300, resources=dict(metadata=dict(path=tmp_path))).execute()
    assert (tmp_path / 'work_dirs' / 'first_model' / 'report.html').is_file()
    shown = [cell.outputs[-1].get('data', {}) for cell in notebook.cells if cell.get('outputs')]
    assert sum('image/png' in data for data in shown) == 2
    assert any('<iframe' in data.get('text/html', '') for data in shown)
    assert 'star' in shown[-2]['text/plain']
    assert (tmp_path / 'exports' / 'first_model.onnx').is_file()
    assert '100.00% of the pixels have the same label' in shown[-1]['text/plain']
