"""Try a trained model in a browser: ``pip install gradio``, then ``python tools/gradio_demo.py work_dirs/my_run``."""

import argparse

import gradio
from PIL import Image

from convnext_dense import load_model
from convnext_dense.errors import exit_on_usage_error


def build(source: str, checkpoint: str | None = None) -> gradio.Interface:
    """Return a page that draws what a model, as `load_model` takes it, predicts on a photo."""
    model = load_model(source, checkpoint)

    def predict(photo: Image.Image, score: float) -> Image.Image:
        return model.predict(photo.convert('RGB')).at_least(score).plot()

    score = gradio.Slider(0, 1, 0.3, label='least score of an object', visible=model.is_detector)
    photo = gradio.Image(type='pil', label='photo')
    return gradio.Interface(predict, [photo, score], gradio.Image(label='prediction'), title=model.name)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='work directory, checkpoint or published name, as in convnext-dense predict')
    parser.add_argument('checkpoint', nargs='?', help='if the model is a config')
    args = parser.parse_args()
    with exit_on_usage_error():
        build(args.model, args.checkpoint).launch()
