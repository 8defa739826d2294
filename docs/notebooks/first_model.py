# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first model
#
# Make a small dataset, look at it, train a segmenter with a ConvNeXt backbone on it, read the report, predict, and
# export. It takes about four minutes on two CPU cores. Open it with `jupytext --to ipynb first_model.py`, or as it is
# in JupyterLab with jupytext.

# %%
from pathlib import Path

from IPython.display import HTML, Image

from convnext_dense import load_model
from convnext_dense.apis import browse, report, train
from convnext_dense.config import load_config
from convnext_dense.datasets.demo import DemoSpec, make_demo_data
from convnext_dense.runtime import Model

IMAGES, STEPS = 200, 200

# %% [markdown]
# ## Data
#
# Shapes on noise, where the demo's config looks for them. `load_config(..., data='my_dataset/')` takes images of your
# own.

# %%
make_demo_data('data/demo', DemoSpec(num_train=IMAGES, num_val=20))
cfg = load_config(
    'upernet_convnext-demo_demo-ade20k',
    work_dir='work_dirs/first_model',
    iters=STEPS,
)

# %% [markdown]
# What the model is fed, augmented as in training:

# %%
pages = browse(cfg, out='data/browse', count=12)
Image(str(pages.sheets[0]))

# %% [markdown]
# ## Training
#
# Before the first step the log says what the run does. A mistake in the config or the data ends it with one sentence.

# %%
train(cfg)

# %% [markdown]
# ## The report
#
# Scores, curves, errors and predictions on one page, which opens without a network.

# %%
page = report(['work_dirs/first_model'])
HTML(f'<iframe srcdoc="{page.read_text().replace("&", "&amp;").replace(chr(34), "&quot;")}" width="100%" height="600">')

# %% [markdown]
# ## Predictions
#
# A photo, an array or a folder; all that a test does, bit for bit.

# %%
model = load_model('work_dirs/first_model')
photo = next(Path('data/demo').rglob('validation/*.jpg'))
result = model.predict(photo)
result.plot()

# %%
{name: int((result.semantic == i).sum()) for i, name in enumerate(model.classes)}

# %% [markdown]
# ## An export
#
# A file for ONNX Runtime, with all that comes before and after the network. `convnext_dense.runtime` runs it without
# PyTorch and OpenMMLab.

# %%
exported = Model(model.export('exports/first_model.onnx'))
same = exported.predict(photo).semantic == result.semantic
f'{same.mean():.2%} of the pixels have the same label'
