"""Images with what they show drawn over them."""

import numpy as np
import pytest

from convnext_dense.visualization import text
from convnext_dense.visualization.drawing import IGNORED_COLOR, Drawing
from convnext_dense.visualization.fed_image import IGNORED, FedImage, FedObject
from convnext_dense.visualization.sheet import COLUMNS, TILE, make_sheet, make_tile

RED, GREEN = (230, 0, 0), (0, 200, 0)
DRAWING = Drawing(['cat', 'dog'], [RED, GREEN], 'crowd')


def gray(height=40, width=60, **parts):
    return FedImage('a.jpg', np.full((height, width, 3), 90, np.uint8), **parts)


def pixels_of(drawn, color):
    return (np.asarray(drawn) == color).all(-1)


class TestDrawing:
    @pytest.mark.parametrize(('height', 'width'), [(8, 12), (40, 60), (900, 600)])
    @pytest.mark.parametrize('parts', [{}, dict(objects=[FedObject((2, 2, 6, 6), 0)])])
    def test_enlarges_and_reduces_to_the_side(self, height, width, parts):
        drawn = DRAWING.draw(gray(height, width, **parts), side=240)
        assert drawn.width == round(240 * width / max(height, width))
        assert drawn.height >= round(240 * height / max(height, width))

    def test_draws_a_box_where_it_is(self):
        drawn = DRAWING.draw(gray(objects=[FedObject((15, 20, 45, 30), 1)]), side=240)
        rows, columns = np.nonzero(pixels_of(drawn, GREEN))
        margin = (drawn.height - 160) // 2
        assert (columns.min(), columns.max()) == pytest.approx((4 * 15, 4 * 45), abs=2)
        # The name is above the box.
        assert rows.max() == pytest.approx(margin + 4 * 30, abs=2)
        assert rows.min() < margin + 4 * 20 - 8

    def test_paints_a_mask_and_leaves_the_image_visible(self):
        mask = np.zeros((40, 60), bool)
        mask[10:30, 20:40] = True
        drawn = np.asarray(DRAWING.draw(gray(objects=[FedObject((20, 10, 40, 30), 0, mask)]), side=240))
        center, corner = drawn[drawn.shape[0] // 2, 120], drawn[drawn.shape[0] // 2, 10]
        assert corner.tolist() == [90, 90, 90]
        assert center[0] > 110 and 40 < center[1] < 90

    def test_marks_ignored_objects_otherwise(self):
        box = (10, 10, 40, 30)
        learned, ignored = (
            DRAWING.draw(gray(objects=[FedObject(box, 0, None, is_ignored)]), side=240) for is_ignored in (False, True)
        )
        assert pixels_of(learned, RED).any() and not pixels_of(ignored, RED).any()
        assert pixels_of(ignored, IGNORED_COLOR).any() and not pixels_of(learned, IGNORED_COLOR).any()
        assert DRAWING.legend(gray(objects=[FedObject(box, 0, None, True)])) == [(IGNORED_COLOR, 'cat, crowd', '1')]

    def test_stripes_ignored_pixels_of_a_map(self):
        label_map = np.zeros((40, 60), np.int64)
        label_map[:, 30:] = IGNORED
        drawn = np.asarray(DRAWING.draw(gray(label_map=label_map), side=240))
        # Where a class is, one color; where pixels are ignored, the image between stripes.
        assert len(np.unique(drawn[40:120, 10:100].reshape(-1, 3), axis=0)) == 1
        assert [90, 90, 90] in drawn[40:120, 140:200].reshape(-1, 3).tolist()

    def test_an_object_without_area_is_drawn(self):
        DRAWING.draw(gray(objects=[FedObject((20, 10, 20, 10), 0), FedObject((-9, -9, 0, 0), 1)]), side=240)

    def test_a_class_without_a_name_is_a_number(self):
        assert DRAWING.legend(gray(objects=[FedObject((0, 0, 9, 9), 7)])) == [(IGNORED_COLOR, 'class 7', '1')]


def square(left, top, side, label=0):
    return FedObject((left, top, left + side, top + side), label, note='0.50')


def written(monkeypatch, *objects):
    """Return what is written at objects."""
    texts = []
    monkeypatch.setattr('convnext_dense.visualization.drawing.write', lambda *args: texts.append(args[2]))
    DRAWING.draw(gray(300, 400, objects=list(objects)), side=400)
    return texts


class TestNames:
    def test_each_object_has_its_name_where_there_is_room(self, monkeypatch):
        objects = [square(left, top, 40) for left in (5, 105, 205, 305) for top in (20, 110, 200)]
        assert written(monkeypatch, *objects) == ['cat 0.50'] * 12

    def test_an_object_that_fills_the_picture_has_its_name(self, monkeypatch):
        assert written(monkeypatch, FedObject((0, 0, 400, 300), 1)) == ['dog']

    def test_a_name_without_its_score_fits_a_narrow_place(self, monkeypatch):
        monkeypatch.setattr(
            'convnext_dense.visualization.drawing.place_labels',
            lambda boxes, sizes, area, taken: [(0, 0) if width < 50 else None for width, _ in sizes],
        )
        assert written(monkeypatch, square(50, 50, 40)) == ['cat']

    @pytest.mark.parametrize(('count', 'has_legend'), [(1, False), (60, True)])
    def test_a_legend_names_what_has_no_name(self, count, has_legend):
        image = gray(300, 400, objects=[square(150 + i, 120, 30) for i in range(count)])
        plain, drawn = DRAWING.draw(image, 400), DRAWING.draw(image, 400, has_legend=True)
        assert (drawn.height > plain.height) == has_legend

    def test_a_legend_names_the_classes_of_a_map(self):
        drawn = DRAWING.draw(gray(label_map=np.zeros((40, 60), np.int64)), 240, has_legend=True)
        assert pixels_of(drawn, RED)[160:].any()

    def test_frames_of_a_video_have_one_size(self):
        frames = [gray(300, 400), gray(300, 400, objects=[square(i, 120, 30) for i in range(60)])]
        assert len({DRAWING.draw_frame(frame, 400).size for frame in frames}) == 1


class TestLegend:
    def test_counts_objects(self):
        objects = [FedObject((0, 0, 9, 9), label) for label in (1, 0, 1)]
        assert DRAWING.legend(gray(objects=objects)) == [(GREEN, 'dog', '2'), (RED, 'cat', '1')]

    def test_has_the_shares_of_a_map(self):
        label_map = np.ones((40, 60), np.int64)
        label_map[:10] = 0
        label_map[39, 59] = IGNORED
        expected = [(GREEN, 'dog', '75 %'), (RED, 'cat', '25 %'), (IGNORED_COLOR, 'ignored', '1 %')]
        assert DRAWING.legend(gray(label_map=label_map)) == expected


class TestSheet:
    def test_holds_tiles_in_rows(self):
        legend = [(RED, 'a class with a name that is much longer than a tile is wide, which happens', '3')]
        tile = make_tile(DRAWING.draw(gray(), TILE), 'a/long/path' * 20, 'a remark' * 20, legend, 'nothing')
        one, all_of_them = make_sheet('title' * 99, [tile]), make_sheet('title', [tile] * (COLUMNS + 1))
        assert tile.width == TILE
        assert all_of_them.width > COLUMNS * TILE
        assert all_of_them.height > one.height + tile.height


class TestText:
    def test_keeps_the_count_of_a_long_name(self):
        assert text.shorten('elephants', 12, 40) == 'elep…'
        assert text.text_size('elep…', 12)[0] <= 40

    @pytest.mark.parametrize('name', ['Straße', 'небо', '汽车', '🐈', ''])
    def test_writes_any_script(self, name):
        drawn = DRAWING.draw(gray(), 240)
        text.write(drawn, (5, 5), name, 12, RED)
        assert pixels_of(drawn, RED).any() == bool(name)
