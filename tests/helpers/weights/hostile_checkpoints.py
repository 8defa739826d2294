"""Checkpoints as a stranger could make them, from a good one."""

import copy
import pickle
import re
import shutil
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


class Calls:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def code_in_weights(checkpoint, ran):
    checkpoint['state_dict']['x'] = Calls(open, str(ran), 'w')


def code_in_meta(checkpoint, ran):
    checkpoint['meta']['hook_msgs'] = Calls(eval, f'open({str(ran)!r}, "w")')


def code_in_a_hooks_state(checkpoint, ran):
    checkpoint['message_hub']['runtime_info']['keep_ckpt_ids'] = Calls(exec, f'open({str(ran)!r}, "w")')


def an_attribute_of_a_class(checkpoint, ran):
    checkpoint['message_hub']['log_scalars']['x'] = Calls(getattr, HistoryBuffer, '__init__')


def a_function_as_a_value(checkpoint, ran):
    checkpoint['message_hub']['log_scalars']['x'] = torch._utils._rebuild_tensor_v2


def a_method_behind_a_dicts_name(checkpoint, ran):
    checkpoint['state_dict'] = OrderedDict(checkpoint['state_dict'])
    checkpoint['state_dict'].copy = np.dtype


def itself(checkpoint, ran):
    checkpoint['meta']['again'] = checkpoint


def nested_3000_deep(checkpoint, ran):
    nest = {}
    for _ in range(3000):
        nest = {'x': nest}
    checkpoint['meta']['nest'] = nest


def a_billion_laughs(checkpoint, ran):
    laughs = {'x': torch.zeros(1)}
    for _ in range(30):
        laughs = {'a': laughs, 'b': laughs}
    checkpoint['meta']['laughs'] = laughs


def a_view_of_16_gb(checkpoint, ran):
    checkpoint['state_dict']['backbone.view'] = torch.zeros(1).expand(2**32)


def a_state_of_16_gb(checkpoint, ran):
    checkpoint.setdefault('optimizer', dict(state={}, param_groups=[]))
    checkpoint['optimizer']['state'][0] = dict(exp_avg=torch.zeros(1, dtype=torch.float16).expand(2**33))


def a_log_of_another_form(checkpoint, ran):
    history = HistoryBuffer([1.0], [1])
    history._log_history = {'x': 'y'}
    checkpoint['message_hub']['log_scalars']['train/loss'] = history


def a_bytearray_of_4_gb(checkpoint, ran):
    checkpoint['meta']['x'] = Calls(bytearray, 2**32)


def a_tensor_of_nested_lists(checkpoint, ran):
    numbers = 0
    for _ in range(3):
        numbers = [numbers] * 1000
    checkpoint['meta']['x'] = Calls(torch.Tensor, numbers)


def a_call_of_a_log(checkpoint, ran):
    checkpoint['message_hub']['log_scalars']['x'] = Calls(HistoryBuffer, [1.0], [1])


def a_copy_of_a_view_of_8_gb(checkpoint, ran):
    view = torch.zeros(1, dtype=torch.float16).expand(2**31)
    rebuild = torch._utils._rebuild_device_tensor_from_cpu_tensor
    checkpoint['meta']['x'] = Calls(rebuild, view, torch.float32, 'cpu', False)


def a_list_copied_a_thousand_times(checkpoint, ran):
    numbers = list(range(20_000))
    checkpoint['meta']['x'] = [Calls(set, numbers) for _ in range(1000)]


def a_sparse_weight(checkpoint, ran):
    checkpoint['state_dict']['x'] = torch.ones(3).to_sparse()


def a_name_of_a_million_characters(checkpoint, ran):
    checkpoint['state_dict']['stages.0.' * 110_000] = torch.zeros(1)


# What the safe loader, or what follows it, refuses in every command.
REFUSED = [
    code_in_weights, code_in_meta, code_in_a_hooks_state, an_attribute_of_a_class, a_function_as_a_value,
    a_method_behind_a_dicts_name, itself, nested_3000_deep, a_billion_laughs, a_view_of_16_gb, a_state_of_16_gb,
    a_log_of_another_form, a_bytearray_of_4_gb, a_tensor_of_nested_lists, a_copy_of_a_view_of_8_gb,
    a_list_copied_a_thousand_times, a_sparse_weight, a_call_of_a_log, a_name_of_a_million_characters,
]  # fmt: skip


def change(checkpoint, how, ran):
    """Return a copy of a checkpoint, changed by one of the functions above."""
    changed = copy.deepcopy(checkpoint)
    how(changed, ran)
    return changed


def save_hostile(changed, path):
    """Save a checkpoint however deep it is."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        # Python's own pickler: that in C has a limit that cannot be set.
        torch.save(changed, path, pickle_module=SimpleNamespace(Pickler=pickle._Pickler, __name__='pickle'))
    finally:
        sys.setrecursionlimit(limit)
    return path


def raise_zip_version(path):
    """Mark every record of a zip file as of a version that Python's zipfile refuses, and PyTorch does not look at."""
    path.write_bytes(re.sub(rb'(PK\x01\x02..).', rb'\1c', path.read_bytes(), flags=re.DOTALL))
    return path


def save_zip_bomb(checkpoint, path, size):
    """Save a checkpoint with a tensor of `size` bytes of zeros, and compress it."""
    plain = Path(f'{path}.plain')
    state = {**checkpoint['state_dict'], 'backbone.zeros': torch.zeros(size, dtype=torch.uint8)}
    torch.save({**checkpoint, 'state_dict': state}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target:
        for record in source.infolist():
            with source.open(record) as file, target.open(record.filename, 'w', force_zip64=True) as out:
                shutil.copyfileobj(file, out)
    plain.unlink()
    return path
