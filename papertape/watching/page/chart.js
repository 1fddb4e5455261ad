"use strict";
/* The price of one instrument with its orders and fills. `look` tells what is known now: the
   snapshot, the instrument, its orders and position, and how a size is written. */
const makeChart = (box, look) => {
  const SECONDS_SEEN = box.clientWidth < 500 ? 90 : 240, DASHED = 2, DOTTED = 1, LARGE_DASHES = 3;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let drawn = null, line = null, markers = null, lines = [], last = 0, isWhole = false;

  const style = () => ({
    layout: { background: { color: "transparent" }, textColor: colour("--faint"), fontSize: 12,
      fontFamily: getComputedStyle(document.body).fontFamily, attributionLogo: false },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderColor: colour("--line"), scaleMargins: { top: 0.12, bottom: 0.1 } },
    timeScale: { borderColor: colour("--line"), timeVisible: true, secondsVisible: true, rightOffset: 4,
      minBarSpacing: 0.02 },
  });
  const lineStyle = () => ({ lineColor: colour("--price"), topColor: colour("--fill"),
    bottomColor: "transparent", lineWidth: 2, crosshairMarkerRadius: 3, priceLineVisible: false });

  /* Prices of orders that are not too far off are on the scale, too. */
  const scaled = (original) => {
    const info = original();
    if (!info || !info.priceRange) return info;
    const { minValue, maxValue } = info.priceRange, { orders, position, spec } = look();
    const span = 1.5 * Math.max(maxValue - minValue, 10 * spec.tick);
    const prices = [...orders.values()].filter((each) => each.symbol === spec.symbol)
      .flatMap((each) => [each.limit, each.stop]).concat(position && position.size ? [position.average] : [])
      .filter((each) => each !== null && each > minValue - span && each < maxValue + span);
    return { ...info, priceRange: { minValue: Math.min(minValue, ...prices), maxValue: Math.max(maxValue, ...prices) } };
  };

  const create = () => {
    drawn = LightweightCharts.createChart(box, { ...style(), autoSize: true,
      localization: { locale: "en-US" }, handleScroll: { vertTouchDrag: false } });
    line = drawn.addSeries(LightweightCharts.AreaSeries, { ...lineStyle(), autoscaleInfoProvider: scaled });
    markers = LightweightCharts.createSeriesMarkers(line, []);
  };

  /* Everything anew: another instrument, or another snapshot. */
  const load = () => {
    if (!drawn) create();
    const { known, spec } = look(), seconds = new Map();
    line.applyOptions({ priceFormat: { type: "price", precision: spec.digits, minMove: spec.tick } });
    known.prices[spec.symbol].forEach(([ms, mid]) => seconds.set(Math.floor(ms / 1000), mid));
    const points = [...seconds].sort((a, b) => a[0] - b[0]).map(([time, value]) => ({ time, value }));
    line.setData(points);
    last = points.length ? points[points.length - 1].time : 0;
    box.dataset.points = points.length;
    marks();
    guides();
    reach(isWhole);
  };

  /* All that is known of the time, or the newest minutes of it. */
  const reach = (whole) => {
    isWhole = whole;
    const points = Number(box.dataset.points), to = points + 4;
    if (!drawn || !points) return;
    if (whole) drawn.timeScale().fitContent();
    else drawn.timeScale().setVisibleLogicalRange({ from: to - SECONDS_SEEN, to });
  };

  /* A later price: the last one of a second stays. */
  const price = (ms, value) => {
    const time = Math.floor(ms / 1000);
    if (!drawn || time < last) return;
    line.update({ time, value });
    if (time > last) box.dataset.points = Number(box.dataset.points) + 1;
    last = time;
  };

  /* The fills that lie in the time that is shown. */
  const marks = () => {
    const { known, spec, text } = look(), points = known.prices[spec.symbol];
    const oldest = points.length ? Math.floor(points[0][0] / 1000) : Infinity;
    const wanted = known.fills
      .filter((fill) => fill.symbol === spec.symbol && fill.time_ms / 1000 >= oldest)
      .map((fill) => {
        const isBuy = fill.side === "buy";
        return { time: Math.floor(fill.time_ms / 1000), text: text(fill.size),
          position: isBuy ? "belowBar" : "aboveBar", shape: isBuy ? "arrowUp" : "arrowDown",
          color: colour(isBuy ? "--buy" : "--sell") };
      });
    markers.setMarkers(wanted.sort((a, b) => a.time - b.time));
    box.dataset.marks = wanted.length;
  };

  /* A line for every price of a working order, and one for the position's average. */
  const guides = () => {
    const { orders, position, spec, text } = look();
    lines.forEach((each) => line.removePriceLine(each));
    lines = [];
    const guide = (value, shade, title, dashes) => lines.push(line.createPriceLine({
      price: value, color: colour(shade), lineWidth: 1, lineStyle: dashes, title, axisLabelVisible: true,
    }));
    orders.forEach((order) => {
      if (order.symbol !== spec.symbol) return;
      const shade = order.side === "buy" ? "--buy" : "--sell";
      const name = `${order.side} ${text(order.size - order.filled)}`;
      if (order.limit !== null) guide(order.limit, shade, name, DASHED);
      if (order.stop !== null) guide(order.stop, shade, name + " stop", DOTTED);
    });
    if (position && position.size) {
      const name = (position.size > 0 ? "long " : "short ") + text(Math.abs(position.size));
      guide(position.average, "--held", name, LARGE_DASHES);
    }
    box.dataset.guides = lines.length;
  };

  const restyle = () => {
    if (!drawn) return;
    drawn.applyOptions(style());
    line.applyOptions(lineStyle());
    marks();
    guides();
  };
  return { load, price, marks, guides, restyle, reach };
};
