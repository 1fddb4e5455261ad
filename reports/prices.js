"use strict";
// Price with fills, trades and the life of brackets, equity and drawdown, over one axis of time.
// What is in sight is drawn: all of it where it is little, every n-th mark where it is much.
(() => {
  const place = document.getElementById("chart");
  if (!place) return;
  const { data, draw, narrow } = papertape;
  const chart = data.chart;
  const MARKS = 500, BRACKETS = 250, POINTS = 2500;
  const RUNS = ["--buy", "--second"];
  const KINDS = chart.runs ? chart.runs.flatMap((name, run) => [
    { name: name + ": buys", colour: RUNS[run], symbol: run ? "triangle-up-open" : "triangle-up" },
    { name: name + ": sells", colour: RUNS[run], symbol: run ? "triangle-down-open" : "triangle-down" },
  ]) : [
    { name: "buy, opens", colour: "--buy", symbol: "triangle-up" },
    { name: "sell, opens", colour: "--sell", symbol: "triangle-down" },
    { name: "buy, closes", colour: "--buy", symbol: "triangle-up-open" },
    { name: "sell, closes", colour: "--sell", symbol: "triangle-down-open" },
  ];
  const summed = (first, steps) => { let at = first; return steps.map((step) => (at += step)); };
  const origin = chart.range[0];
  const pairs = (flat, tick) => flat.flatMap((value, i) => (i % 2 ? [] : [[origin + value, flat[i + 1] * tick]]));
  const table = data.tables.trades;
  const trades = table ? table.rows.map((row) => Object.fromEntries(table.columns.map((c, i) => [c.key, row[i]]))) : [];
  const panels = chart.panels.map((panel) => ({
    ...panel,
    fills: panel.fills.map(([at, ticks, kind, size, order, maker, fee, ambiguous, run]) => ({
      at: origin + at, price: ticks * panel.tick, sold: kind % 2, size, order, maker, fee, ambiguous,
      kind: chart.runs ? 2 * run + kind % 2 : kind,
    })),
    trades: chart.runs ? [] : trades.filter((trade) => (trade.instrument ?? panel.symbol) === panel.symbol),
    brackets: panel.brackets.map(([wait, waits, from, to, entry, stop, target]) => ({
      wait: origin + wait, waits: waits === null ? null : waits * panel.tick, from: origin + from, to: origin + to,
      entry: entry * panel.tick, stop: pairs(stop, panel.tick), target: pairs(target, panel.tick),
    })),
    line: {
      x: summed(panel.price.start, panel.price.steps),
      y: summed(0, panel.price.moves).map((half) => half * panel.tick / 2),
    },
  }));
  const lines = panels.map((panel) => [panel.line]).concat([chart.equity, chart.drawdown]);
  const names = panels.map((panel) => panel.symbol).concat(["equity", "drawdown"]);
  place.dataset.whole = JSON.stringify(chart.range);
  let ends = chart.first || chart.range;

  const axis = (index) => (index === 0 ? "y" : "y" + (index + 1));
  const price = (panel, value) => value.toLocaleString("en-US", {
    minimumFractionDigits: panel.digits, maximumFractionDigits: panel.digits + 2,
  });
  const moment = (ms) => new Date(Math.floor(ms)).toISOString().replace("T", " ").slice(0, 23);
  const inSight = (from, to) => to >= ends[0] && from <= ends[1];
  const thinned = (marks) => {
    const step = Math.ceil(marks.length / MARKS);
    return step > 1 ? marks.filter((_, index) => index % step === 0) : marks;
  };

  // The line in sight, with the point before and after; of much, least and most of every stretch.
  const seen = ({ x, y }) => {
    let first = x.findIndex((at) => at >= ends[0]);
    let last = x.findIndex((at) => at > ends[1]);
    first = Math.max(0, (first < 0 ? x.length : first) - 1);
    last = last < 0 ? x.length : last + 1;
    if (last - first <= POINTS) return { x: x.slice(first, last), y: y.slice(first, last) };
    const stretch = Math.ceil((last - first) / (POINTS / 2)), keep = [];
    for (let i = first; i < last; i += stretch) {
      let low = i, high = i;
      for (let j = i; j < Math.min(i + stretch, last); j++) {
        if (y[j] < y[low]) low = j;
        if (y[j] > y[high]) high = j;
      }
      keep.push(Math.min(low, high), Math.max(low, high));
    }
    keep.push(last - 1);
    return { x: keep.map((i) => x[i]), y: keep.map((i) => y[i]) };
  };

  const fillText = (panel, fill) => [
    (chart.runs ? KINDS[fill.kind].name.replace(/: \w+$/, ": ") : "") + (fill.sold ? "sold " : "bought ") + fill.size + " at " + price(panel, fill.price),
    "order " + fill.order + ", " + (fill.maker ? "maker" : "taker") + ", fee " + (fill.fee / 100).toFixed(2),
    moment(fill.at), ...(fill.ambiguous ? ["ambiguous: the row or bar satisfied both exits"] : []),
  ].join("<br>");

  const fillTraces = (panel, index, told) => {
    const rows = panel.fills.filter(({ at }) => inSight(at, at));
    const some = thinned(rows);
    if (some.length < rows.length) told.push(`${some.length.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} fills`);
    return KINDS.map((kind, number) => {
      const mine = some.filter((fill) => fill.kind === number);
      return {
        x: mine.map((fill) => fill.at), y: mine.map((fill) => fill.price),
        text: mine.map((fill) => fillText(panel, fill)), name: kind.name, yaxis: axis(index), mode: "markers",
        showlegend: index === 0, legendgroup: kind.name, hovertemplate: "%{text}<extra></extra>",
        marker: { symbol: kind.symbol, size: rows.length > 400 ? 7 : 10, color: kind.colour,
          line: { width: 1.4, color: kind.symbol.endsWith("open") ? kind.colour : "--panel" } },
      };
    });
  };

  const tradeTraces = (panel, index) => [["won", "--good", true], ["lost", "--bad", false]].map(([name, colour, won]) => {
    const near = panel.trades.filter((t) => inSight(t.opened, t.closed));
    const mine = near.length > MARKS ? [] : near.filter((t) => (t.net > 0) === won);
    return {
      x: mine.flatMap((t) => [t.opened, t.closed, null]), y: mine.flatMap((t) => [t.entry, t.exit, null]),
      name, yaxis: axis(index), mode: "lines", hoverinfo: "skip", showlegend: false,
      line: { color: colour, width: 1.5, dash: "dot" },
    };
  });

  // From the entry's fill to the end of its exits: entry to target, entry to stop, in steps where
  // a level was moved.
  const band = (bracket, levels) => {
    if (!levels.length) return [];
    const edge = [];
    levels.forEach(([at, level], i) => {
      edge.push([at, level], [i + 1 < levels.length ? levels[i + 1][0] : bracket.to, level]);
    });
    return [[edge[0][0], bracket.entry], ...edge, [bracket.to, bracket.entry], [null, null]];
  };
  const bracketTraces = (panel, index, told) => {
    const mine = panel.brackets.filter((bracket) => inSight(bracket.wait, bracket.to));
    if (mine.length > BRACKETS) {
      told.push(`the lives of ${mine.length.toLocaleString("en-US")} brackets`);
      return [];
    }
    const trace = (name, points, colour, rest) => ({
      x: points.map(([x]) => x), y: points.map(([, y]) => y), name, yaxis: axis(index), mode: "lines",
      hoverinfo: "skip", legendgroup: name, showlegend: index === 0 && points.length > 0, line: { color: colour, width: 1 }, ...rest,
    });
    const filled = (colour) => ({ fill: "toself", fillcolor: colour });
    return [
      trace("to the target", mine.flatMap((b) => band(b, b.target)), "--good-line", filled("--good-fill")),
      trace("to the stop", mine.flatMap((b) => band(b, b.stop)), "--bad-line", filled("--bad-fill")),
      trace("entry waits", mine.flatMap((b) => (b.waits === null ? [] : [[b.wait, b.waits], [b.from, b.waits], [null, null]])),
        "--faint", { line: { color: "--faint", width: 1.2, dash: "dash" } }),
    ];
  };

  const panelTraces = (panel, index, told) => [
    ...bracketTraces(panel, index, told),
    {
      ...seen(panel.line), yaxis: axis(index), name: panel.symbol + " mid", mode: "lines", showlegend: false,
      line: { color: "--price", width: 1.2, shape: "hv" },
      hovertemplate: "%{y:,." + (panel.digits + 1) + "f}<extra>" + panel.symbol + " mid</extra>",
    },
    ...tradeTraces(panel, index),
    ...fillTraces(panel, index, told),
  ];
  const moneyTraces = () => {
    const at = panels.length, money = "%{y:,.2f} " + chart.currency;
    const trace = (series, row, rest) => ({
      ...seen(series), yaxis: axis(row), mode: "lines", showlegend: false, name: series.name,
      // Two lines that are the same are seen to be two: the second is thin on a broad one.
      line: { color: series.colour, width: !chart.runs ? 1.5 : series === chart.equity[0] || series === chart.drawdown[0] ? 3 : 1.2, shape: "hv" },
      hovertemplate: money + "<extra>" + series.name + "</extra>", ...rest,
    });
    const filled = { fill: "tozeroy", fillcolor: "--bad-fill" };
    return [
      ...chart.equity.map((series) => trace(series, at)),
      ...chart.drawdown.map((series) => trace(series, at + 1, chart.runs ? {} : filled)),
    ];
  };

  // One row of the figure per instrument, then equity, then drawdown; shares of the height.
  const domains = () => {
    const weights = panels.map(() => 3).concat([1.6, 1.1]);
    const gap = narrow.matches ? 0.05 : 0.04;
    const unit = (1 - gap * (weights.length - 1)) / weights.reduce((a, b) => a + b, 0);
    let top = 1;
    return weights.map((weight) => {
      const domain = [Math.max(0, top - weight * unit), top];
      top = domain[0] - gap;
      return domain;
    });
  };

  // Least and most of what is in sight; a price holds from before until the next one.
  const heights = (index) => {
    let least = Infinity, most = -Infinity;
    const take = (value) => { if (value < least) least = value; if (value > most) most = value; };
    for (const { x, y } of lines[index]) {
      let before = null;
      for (let i = 0; i < x.length && x[i] <= ends[1]; i++) {
        if (x[i] < ends[0]) before = y[i]; else take(y[i]);
      }
      if (before !== null) take(before);
    }
    const panel = panels[index];
    if (panel) {
      panel.fills.forEach(({ at, price: value }) => { if (inSight(at, at)) take(value); });
      const mine = panel.brackets.filter((bracket) => inSight(bracket.from, bracket.to));
      // Exits far away from the price would press it flat: they count where they lie near it.
      const room = (most - least) * 1.5 || Infinity;
      if (mine.length <= BRACKETS) mine.flatMap((b) => [...b.stop, ...b.target]).forEach(([, level]) => {
        if (level > least - room && level < most + room) take(level);
      });
    }
    if (index === lines.length - 1) take(0);
    if (least > most) return undefined;
    const space = (most - least || Math.abs(most) * 0.001 || 1) * 0.07;
    return [least - space, most + space];
  };

  const layout = (told) => {
    const small = narrow.matches, parts = domains();
    const result = {
      margin: { l: small ? 56 : 76, r: small ? 10 : 18, t: small ? 64 : 40, b: 34 }, showlegend: true,
      xaxis: { type: "date", range: ends, automargin: false, anchor: axis(names.length - 1), domain: [0, 1], showspikes: true, spikemode: "across",
        spikethickness: 1, spikedash: "dot", spikecolor: "--faint", nticks: small ? 5 : 10, hoverformat: "%Y-%m-%d %H:%M:%S.%L" },
      annotations: names.map((name, index) => ({
        text: name, xref: "paper", yref: "paper", x: 1, y: parts[index][1], xanchor: "right", yanchor: "top",
        showarrow: false, bgcolor: "--panel", borderpad: 2, font: { color: "--faint", size: 12 },
      })),
    };
    result.shapes = (chart.marks || []).map(({ at }) => ({
      type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { color: "--warn", width: 1.5, dash: "dash" },
    }));
    result.annotations.push(...(chart.marks || []).filter(({ at }) => inSight(at, at)).map(({ at, text }) => ({
      text, x: at, y: 1, xref: "x", yref: "paper", xanchor: "left", yanchor: "top", showarrow: false,
      bgcolor: "--panel", font: { color: "--warn", size: 12 },
    })));
    names.forEach((name, index) => {
      result["yaxis" + (index === 0 ? "" : index + 1)] = {
        domain: parts[index], anchor: "x", fixedrange: true, range: heights(index), autorange: false, automargin: false,
        nticks: small ? 4 : 6, tickformat: index < panels.length ? ",." + panels[index].digits + "~f" : ",~f",
      };
    });
    const hint = document.getElementById("chart-hint");
    hint.textContent = told.length ? "Zoom in to see all: shown are " + told.join(", ").replace(/the lives/, "not yet the lives") + "." : "";
    return result;
  };

  const paint = () => {
    const told = [];
    const traces = [...panels.flatMap((panel, index) => panelTraces(panel, index, told)), ...moneyTraces()];
    const height = (narrow.matches ? 250 : 320) * panels.length + (narrow.matches ? 250 : 290);
    return draw(place, { traces, layout: layout(told), height }).then(() => {
      place.dataset.fills = String(traces.filter((t) => t.mode === "markers").reduce((n, t) => n + t.x.length, 0));
      place.dataset.from = String(ends[0]);
    });
  };
  const look = (to) => {
    const [least, most] = chart.range, room = most - least;
    const width = Math.max(1, Math.min(to[1] - to[0], room * 1.2));
    const from = Math.max(least - room * 0.1, Math.min(to[0], most + room * 0.1 - width));
    ends = [from, from + width];
    return paint();
  };

  papertape.painters.push(paint);
  papertape.withKeys(place);
  let listening = false;
  papertape.painters.push(() => {
    if (listening) return;
    listening = true;
    place.on("plotly_relayout", (change) => {
      const moved = Object.keys(change).some((key) => key.startsWith("xaxis."));
      if (!moved) return;
      const now = change["xaxis.autorange"] ? chart.range : papertape.range(place);
      if (now[0] !== ends[0] || now[1] !== ends[1]) look(now);
    });
  });
  addEventListener("papertape-zoom", ({ detail }) => {
    const room = Math.max((detail.to - detail.from) * 0.6, 500);
    look([detail.from - room, detail.to + room]);
    place.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  });
  const moves = { out: -0.5, in: 0.25, left: null, right: null, whole: null };
  for (const button of document.querySelectorAll("[data-move]")) {
    button.addEventListener("click", () => {
      const [a, b] = ends, step = (b - a) * 0.4, name = button.dataset.move;
      if (name === "whole") look(chart.range);
      else if (name === "left") look([a - step, b - step]);
      else if (name === "right") look([a + step, b + step]);
      else look([a + (b - a) * moves[name], b - (b - a) * moves[name]]);
    });
  }
})();
