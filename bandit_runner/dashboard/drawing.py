"""What charts are made of: axes, lines, colours, as options of ECharts (https://echarts.apache.org/en/option.html).

Colours are Okabe and Ito's, which people of any colour vision tell apart (https://jfly.uni-koeln.de/color/).
"""

from collections.abc import Sequence
from typing import Any, Final

Options = dict[str, Any]

COLOURS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999", "#882255", "#44AA99",
)  # fmt: skip
"""For things that have none of their own, one after the other."""
GOOD, BAD, MARK = "#009E73", "#D55E00", "#E69F00"


def line(name: str, colour: str, data: Sequence[Any], *, dashed: bool = False, area: bool = False) -> Options:
    """A line through (x, y) pairs."""
    made: Options = {
        "type": "line",
        "name": name,
        "data": list(data),
        "showSymbol": False,
        "lineStyle": {"color": colour, "width": 2, "type": "dashed" if dashed else "solid"},
        "itemStyle": {"color": colour},
    }
    return made | ({"areaStyle": {"opacity": 0.12}} if area else {})


def css(**names: str) -> Options:
    """Properties whose colours are the page's own (style.css), light or dark as it is when they are drawn."""
    return {f":{key}": f"getComputedStyle(document.body).getPropertyValue('--{name}')" for key, name in names.items()}


TOOLTIP: Final[Options] = css(backgroundColor="paper", borderColor="line") | {"textStyle": css(color="ink")}


IDS: Final = "ids"
"""The name of an axis that counts them."""


def _axis(name: str, gap: int) -> Options:
    return {
        "name": name,
        "nameLocation": "middle",
        "nameGap": gap,
        "nameTextStyle": css(color="soft"),
        "axisLabel": {"fontSize": 11, "hideOverlap": True, **css(color="soft")},
        "axisLine": {"lineStyle": css(color="line")},
        "splitLine": {"lineStyle": css(color="line")},
    } | ({"minInterval": 1} if name == IDS else {})  # nobody plays half an id


LONGEST: Final = 130
"""Pixels of a name below a chart, whatever a log that was imported calls things: as wide as the longest of ours."""


def categories(names: Sequence[str], *, name: str = "", rotate: int = 0) -> Options:
    """An axis of names."""
    axis = _axis(name, 26) | {"type": "category", "data": list(names), "splitLine": {"show": False}}
    axis["axisLabel"] |= {"rotate": rotate, "fontSize": 10 if rotate else 11}
    axis["axisLabel"] |= {"width": LONGEST, "overflow": "truncate"}
    return axis


def cartesian(series: Sequence[Options], *, x: str, y: str, most: float | None = None) -> Options:
    """A chart of series over two axes of numbers, which are named; ``most`` is the end of the upright one."""
    return {
        "aria": {"enabled": True},
        "animation": False,
        "grid": {"left": 58, "right": 24, "top": 34, "bottom": 48},
        "tooltip": {"trigger": "axis", **TOOLTIP},
        "legend": {"type": "scroll", "top": 0, "itemHeight": 8, "textStyle": {"fontSize": 11, **css(color="soft")}},
        "xAxis": _axis(x, 26) | {"type": "value", "min": "dataMin", "max": "dataMax"},
        "yAxis": _axis(y, 38) | {"type": "value"} | ({} if most is None else {"max": most}),
        "series": list(series),
    }


_INTERVAL: Final = """(params, api) => {
  const low = api.coord([api.value(0), api.value(1)]), high = api.coord([api.value(0), api.value(2)]);
  return {type: 'line', shape: {x1: low[0], y1: low[1], x2: high[0], y2: high[1]},
          style: {stroke: '#888', lineWidth: 3, lineCap: 'round'}};
}"""


def intervals(ranges: Sequence[Sequence[float]], name: str) -> Options:
    """(place, low, high) each, as upright strokes."""
    return {
        "type": "custom",
        "name": name,
        "data": list(ranges),
        ":renderItem": _INTERVAL,
        "encode": {"x": 0, "y": [1, 2]},
        "itemStyle": {"color": "#888888"},
        "z": 3,
    }
