"""Try a trained model in a browser: ``pip install gradio``, then ``python tools/gradio_demo.py work_dirs/my_run``."""

import sys

import gradio
from PIL import Image

from convnext_dense import load_model
from convnext_dense.errors import exit_on_usage_error


def build(*source: str) -> gradio.Interface:
    """Return a page that draws what a model predicts on a photo. `source` is what `load_model` takes."""
    model = load_model(*source)

    def predict(photo: Image.Image | None, score: float) -> Image.Image:
        if photo is None:
            raise gradio.Error('Give a photo.')
        return model.predict(photo.convert('RGB')).plot(score)

    score = gradio.Slider(0, 1, 0.3, label='least score of an object', visible=model.is_detector)
    inputs, output = [gradio.Image(type='pil', label='photo'), score], gradio.Image(label='prediction')
    return gradio.Interface(predict, inputs, output, title=model.name, flagging_mode='never', analytics_enabled=False)


if __name__ == '__main__':
    with exit_on_usage_error():
        build(*(sys.argv[1:] or sys.exit(__doc__))).launch()
