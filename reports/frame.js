"use strict";
// The frame of a page: its data, its theme, and the figures that Plotly draws in it.
const papertape = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 640px)");
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // Names of the page's colours become colours; long rows of numbers are passed through.
  const coloured = (value) => {
    if (typeof value === "string") return /^--[a-z][a-z-]*$/.test(value) ? colour(value) || value : value;
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(coloured);
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each)]));
  };

  const merged = (base, more) => {
    const result = { ...base };
    for (const [key, value] of Object.entries(more)) {
      const both = value && base[key] && typeof value === "object" && !Array.isArray(value);
      result[key] = both ? merged(base[key], value) : value;
    }
    return result;
  };

  const axis = () => ({
    gridcolor: "--line", zerolinecolor: "--line", linecolor: "--line", automargin: true, separatethousands: true,
    fixedrange: narrow.matches, nticks: narrow.matches ? 5 : 9, title: { standoff: 8, font: { size: 12.5 } },
  });

  const layoutOf = (figure) => {
    const small = narrow.matches;
    const base = {
      height: figure.height, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: small ? 48 : 64, r: small ? 10 : 18, t: 30, b: 36 },
      font: { family: getComputedStyle(document.body).fontFamily, color: "--faint", size: small ? 11 : 12.5 },
      hovermode: "closest", dragmode: small ? false : "zoom", showlegend: false, bargap: 0.25,
      hoverlabel: { bgcolor: "--panel", bordercolor: "--faint", font: { color: "--text" }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "--faint", activecolor: "--text" },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left" },
      xaxis: {}, yaxis: {},
    };
    const layout = merged(base, figure.layout);
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) layout[key] = merged(axis(), layout[key]);
    }
    if (layout.xaxis.title.text) {
      layout.margin = { ...layout.margin, b: 58 };
      layout.xaxis.automargin = false;
    }
    return coloured(layout);
  };

  // Plotly's own button would upload the run to a cloud: there is none, and no address for it.
  const settings = () => ({
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d", "toImage"],
    displayModeBar: narrow.matches ? false : "hover",
  });

  const draw = (place, figure) => Plotly.react(
    place, coloured(figure.traces), layoutOf(figure), settings(),
  ).then(() => { place.dataset.drawn = "yes"; });

  // --- keys: a chart in focus is moved and zoomed along its time -------------------------------

  const MOVES = {
    ArrowLeft: (a, b) => [a - (b - a) / 5, b - (b - a) / 5],
    ArrowRight: (a, b) => [a + (b - a) / 5, b + (b - a) / 5],
    "+": (a, b) => [a + (b - a) / 4, b - (b - a) / 4],
    "=": (a, b) => [a + (b - a) / 4, b - (b - a) / 4],
    "-": (a, b) => [a - (b - a) / 2, b + (b - a) / 2],
  };

  const range = (place) => place._fullLayout.xaxis.range.map((end) => place._fullLayout.xaxis.r2l(end));
  const show = (place, ends) => Plotly.relayout(place, { "xaxis.range": ends });
  const withKeys = (place) => {
    place.tabIndex = 0;
    place.title = "";
    place.addEventListener("keydown", (event) => {
      if (!place._fullLayout || event.ctrlKey || event.metaKey || event.altKey) return;
      const move = MOVES[event.key];
      if (!move && event.key !== "0") return;
      event.preventDefault();
      if (move) show(place, move(...range(place)));
      else if (place.dataset.whole) show(place, JSON.parse(place.dataset.whole));
      else Plotly.relayout(place, { "xaxis.autorange": true, "yaxis.autorange": true });
    });
  };

  // --- what is drawn, first what is seen first --------------------------------------------------

  const painters = [];
  const idle = window.requestIdleCallback
    ? (work) => requestIdleCallback(work, { timeout: 400 }) : (work) => setTimeout(work, 20);
  let round = 0;
  const drawAll = () => {
    const mine = ++round;
    const next = (index) => {
      if (mine !== round || index >= painters.length) return;
      Promise.resolve(painters[index]()).then(() => idle(() => next(index + 1)));
    };
    next(0);
  };

  const start = () => {
    for (const place of document.querySelectorAll("[data-figure]")) {
      withKeys(place);
      painters.push(() => draw(place, data.figures[place.dataset.figure]));
    }
    drawAll();
    dark.addEventListener("change", drawAll);
    narrow.addEventListener("change", drawAll);
    document.getElementById("theme").addEventListener("click", () => {
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
      root.dataset.theme = isDark ? "light" : "dark";
      drawAll();
    });
  };
  // Scripts that come after this one may add painters of their own first.
  addEventListener("DOMContentLoaded", start);

  return { data, colour, draw, narrow, painters, range, show, withKeys };
})();
