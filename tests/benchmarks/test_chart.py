"""Pictures that need no style sheet."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.chart import COLOURS, Axis, Picture, decades, linear

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(picture.svg())


def empty() -> Picture:
    return Picture("A <title>", linear("x", 10), decades("y, s", 0.5, 800))


@pytest.mark.parametrize("high", [0.03, 0.3, 1, 5.9, 6.1, 37, 99, 120, 4321])
def test_a_linear_axis_ends_at_a_round_number_not_far_above_what_it_must_hold(high: float) -> None:
    axis = linear("s", high)
    assert high <= axis.high <= 1.7 * high
    assert axis.low == 0
    assert 3 <= len(axis.ticks) <= 8


def test_an_axis_of_nothing_has_a_length_all_the_same() -> None:
    assert linear("s", 0).high > 0


def test_a_logarithmic_axis_holds_whole_powers_of_ten() -> None:
    axis = decades("s", 0.5, 800)
    assert (axis.low, axis.high) == pytest.approx((0.1, 1000))
    assert [label for _, label in axis.ticks] == ["0.1", "1", "10", "100", "1000"]
    assert axis.share(10) == pytest.approx(0.5)


@pytest.mark.parametrize("log", [False, True])
def test_what_is_beyond_an_end_lies_at_the_end(log: bool) -> None:
    axis = Axis("x", 1.0, 100.0, (), log)
    assert (axis.share(-5), axis.share(1), axis.share(100), axis.share(1e9)) == (0, 0, 1, 1)


def test_a_title_is_escaped_and_read_out() -> None:
    image = drawn(empty())
    assert image.get("aria-label") == "A <title>"
    assert any(each.text == "A <title>" for each in image.iter(f"{SVG}text"))


def test_what_is_extrapolated_is_dashed() -> None:
    picture = empty()
    picture.curve([(1, 1), (5, 10)], COLOURS[0], "measured")
    picture.curve([(5, 10), (10, 100)], COLOURS[0], "extrapolated", dashed=True)
    image = drawn(picture)
    dashes = [each.get("stroke-dasharray") for each in image.iter(f"{SVG}path")]
    # The axes and two lines, then the legend's two.
    assert dashes == [None, None, "7 5", None, "7 5"]
    assert {"measured", "extrapolated"} <= {each.text for each in image.iter(f"{SVG}text")}


def test_every_point_is_a_mark_and_its_label_one_more() -> None:
    picture = empty()
    picture.dots([(1, 1), (2, 2), (3, 3)], COLOURS[0], "ours")
    assert len(list(drawn(picture).iter(f"{SVG}circle"))) == 4


def test_larger_is_to_the_right_and_further_up() -> None:
    picture = empty()
    picture.dots([(1, 1), (9, 100)], COLOURS[0])
    low, high = list(drawn(picture).iter(f"{SVG}circle"))
    assert float(low.get("cx", 0)) < float(high.get("cx", 0))
    assert float(low.get("cy", 0)) > float(high.get("cy", 0))


def test_a_line_of_one_point_is_none() -> None:
    picture = empty()
    before = picture.svg()
    picture.curve([(1, 1)], COLOURS[0], "alone")
    assert picture.svg() == before
