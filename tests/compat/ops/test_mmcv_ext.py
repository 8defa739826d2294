"""The stand-in for ``mmcv._ext``."""

import re
import subprocess
import sys
from pathlib import Path

import mmcv.ops
import pytest
import torch
from mmcv.utils.ext_loader import check_ops_exist
from mmengine.utils.dl_utils.misc import mmcv_full_available

from convnext_dense.compat import provide_mmcv_ext

PAGE = Path(__file__).resolve().parents[3] / 'docs' / 'reference' / 'mmcv-ops.md'


def test_mmcv_counts_as_complete():
    assert check_ops_exist()
    assert mmcv_full_available()


def test_the_environment_report_says_where_the_ops_come_from():
    assert 'torchvision' in mmcv.ops.get_compiler_version()
    assert mmcv.ops.get_compiling_cuda_version()


def test_an_op_without_a_form_names_itself_and_the_remedy():
    boxes = torch.rand(2, 5)
    with pytest.raises(NotImplementedError, match=r"'box_iou_rotated'.*install a compiled mmcv"):
        mmcv.ops.box_iou_rotated(boxes, boxes)


def test_the_reference_has_every_operator_once():
    cells = re.findall(r'^\| (`.*?) \|', PAGE.read_text(), re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r'`(\w+)`', cell)]
    # OneDL's mmcv alone has it.
    assert sorted(names) == sorted({*mmcv.ops.__all__, 'line_nms'})


def test_providing_twice_adds_one_finder():
    before = len(sys.meta_path)
    provide_mmcv_ext()
    assert len(sys.meta_path) == before


@pytest.mark.e2e
def test_a_compiled_extension_keeps_precedence(tmp_path):
    (tmp_path / '_ext.py').write_text('COMPILED = True\n')
    code = (
        f'import mmcv; mmcv.__path__.append({str(tmp_path)!r})\n'
        'import convnext_dense\n'
        'from mmcv import _ext\n'
        'assert _ext.COMPILED and _ext.__file__.endswith("_ext.py"), _ext.__file__\n'
        'assert not hasattr(_ext, "nms")\n'
    )
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)
