"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const chart = document.getElementById("chart");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isNarrow = () => chart.clientWidth < 620;

  const MARKS = [
    { colour: "--buy", symbol: "triangle-up" },
    { colour: "--sell", symbol: "triangle-down" },
    { colour: "--buy", symbol: "triangle-up-open" },
    { colour: "--sell", symbol: "triangle-down-open" },
  ];

  // One row of the figure per instrument, then equity, then drawdown; shares of the height.
  const rows = () => {
    const weights = data.panels.map(() => 3).concat([1.6, 1.1]);
    const gap = isNarrow() ? 0.05 : 0.04;
    const unit = (1 - gap * (weights.length - 1)) / weights.reduce((a, b) => a + b, 0);
    let top = 1;
    return weights.map((weight) => {
      const bottom = Math.max(0, top - weight * unit);
      const domain = [bottom, top];
      top = bottom - gap;
      return domain;
    });
  };

  const axis = (index) => (index === 0 ? "y" : "y" + (index + 1));

  const panelTraces = (panel, index) => {
    const yaxis = axis(index);
    const half = ",." + (panel.digits + 1) + "f";
    const link = (line, name, shade) => ({
      x: line.x, y: line.y, name, yaxis, mode: "lines", hoverinfo: "skip", showlegend: false,
      line: { color: colour(shade), width: 1.5, dash: "dot" },
    });
    const price = {
      x: panel.price.x, y: panel.price.y, yaxis, name: panel.symbol + " mid", mode: "lines",
      line: { color: colour("--price"), width: 1.2, shape: "hv" }, showlegend: false,
      hovertemplate: "%{y:" + half + "}<extra>" + panel.symbol + " mid</extra>",
    };
    const marks = panel.fills.map((fills, kind) => ({
      x: fills.x, y: fills.y, text: fills.text, yaxis, name: fills.name, mode: "markers",
      showlegend: index === 0, legendgroup: fills.name,
      marker: {
        symbol: MARKS[kind].symbol, size: 10, color: colour(MARKS[kind].colour),
        line: { width: 1.4, color: kind < 2 ? colour("--panel") : colour(MARKS[kind].colour) },
      },
      hovertemplate: "%{text}<extra></extra>",
    }));
    return [price, link(panel.won, "won", "--good"), link(panel.lost, "lost", "--bad"), ...marks];
  };

  const moneyTraces = () => {
    const at = data.panels.length;
    const money = "%{y:,.2f} " + data.currency;
    return [
      {
        x: data.equity.x, y: data.equity.y, yaxis: axis(at), mode: "lines", showlegend: false,
        name: "equity", line: { color: colour("--equity"), width: 1.5, shape: "hv" },
        hovertemplate: money + "<extra>equity</extra>",
      },
      {
        x: data.drawdown.x, y: data.drawdown.y, yaxis: axis(at + 1), mode: "lines",
        name: "drawdown", showlegend: false, fill: "tozeroy", fillcolor: colour("--fall-fill"),
        line: { color: colour("--fall"), width: 1.2, shape: "hv" },
        hovertemplate: money + "<extra>drawdown</extra>",
      },
    ];
  };

  const layout = () => {
    const narrow = isNarrow();
    const names = data.panels.map((panel) => panel.symbol).concat(["equity", "drawdown"]);
    const domains = rows();
    const grid = { gridcolor: colour("--line"), zerolinecolor: colour("--line") };
    const result = {
      height: (narrow ? 210 : 260) * data.panels.length + (narrow ? 240 : 270),
      margin: { l: narrow ? 56 : 76, r: narrow ? 10 : 18, t: narrow ? 56 : 36, b: 34 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour("--faint"),
        size: narrow ? 11 : 12.5 },
      hovermode: "closest", dragmode: narrow ? false : "zoom",
      hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--faint"),
        font: { color: colour("--text") }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--faint"), activecolor: colour("--text") },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left",
        font: { size: narrow ? 11 : 12.5 } },
      xaxis: { ...grid, type: "date", range: data.range, anchor: axis(names.length - 1),
        domain: [0, 1], showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "dot",
        spikecolor: colour("--faint"), nticks: narrow ? 5 : 10, hoverformat: "%Y-%m-%d %H:%M:%S.%L" },
      annotations: names.map((name, index) => ({
        text: name, xref: "paper", yref: "paper", x: 1, y: domains[index][1], xanchor: "right",
        yanchor: "top", showarrow: false, bgcolor: colour("--panel"), borderpad: 2,
        font: { color: colour("--faint"), size: 12 },
      })),
    };
    names.forEach((name, index) => {
      const key = "yaxis" + (index === 0 ? "" : index + 1);
      const digits = index < data.panels.length ? data.panels[index].digits : 0;
      result[key] = { ...grid, domain: domains[index], anchor: "x", fixedrange: narrow,
        nticks: narrow ? 4 : 6, tickformat: index < data.panels.length ? ",." + digits + "~f" : ",~f" };
    });
    return result;
  };

  // Plotly's own button would upload the run to a cloud: there is none, and no address for it.
  const settings = () => ({
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d"],
    displayModeBar: isNarrow() ? false : "hover",
  });

  const draw = () => Plotly.react(chart, [
    ...data.panels.flatMap(panelTraces), ...moneyTraces(),
  ], layout(), settings()).then(() => { chart.dataset.drawn = "yes"; });

  let wasNarrow = isNarrow();
  draw();
  addEventListener("resize", () => {
    if (isNarrow() !== wasNarrow) { wasNarrow = isNarrow(); draw(); }
  });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    draw();
  });

  const table = document.getElementById("trades");
  if (table) {
    const heads = [...table.tHead.rows[0].cells];
    const value = (row, column) => {
      const text = row.cells[column].dataset.v;
      const number = Number(text);
      return Number.isNaN(number) ? text : number;
    };
    const sort = (column) => {
      const down = heads[column].getAttribute("aria-sort") === "ascending";
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const order = [...body.rows].sort((a, b) => {
        const left = value(a, column), right = value(b, column);
        return (left < right ? -1 : left > right ? 1 : 0) * (down ? -1 : 1);
      });
      body.append(...order);
    };
    heads.forEach((head, column) => {
      head.tabIndex = 0;
      head.addEventListener("click", () => sort(column));
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(column); }
      });
    });
  }
})();
