"use strict";
// Tables of the page: sorted by their heads, filtered by words and conditions, shown in pages.
(() => {
  const whole = new Intl.NumberFormat("en-US");
  const fixed = (least, most) => new Intl.NumberFormat("en-US", {
    minimumFractionDigits: least, maximumFractionDigits: most,
  });
  const cents = fixed(2, 2);
  const minus = (text) => text.replace("-", "\u2212");
  const plus = (value, text) => (value > 0 ? "+" : "") + minus(text);

  const length = (ms) => {
    if (ms < 0) return "\u2212" + length(-ms);
    const s = Math.floor(ms / 1000);
    if (s >= 86400) return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
    if (s >= 3600) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
    if (s >= 60) return Math.floor(s / 60) + " min " + s % 60 + " s";
    return s >= 1 ? (ms / 1000).toFixed(3) + " s" : ms.toFixed(1) + " ms";
  };
  const clock = (ms) => moment(ms).slice(11);
  const moment = (ms) => new Date(Math.floor(ms)).toISOString().replace("T", " ").slice(0, 23);

  const shown = {
    text: () => String, choice: () => String, count: () => (v) => minus(whole.format(v)),
    number: (c) => { const f = fixed(c.digits, c.digits); return (v) => minus(f.format(v)); },
    price: (c) => { const f = fixed(c.digits, c.digits + 2); return (v) => minus(f.format(v)); },
    money: () => (v) => plus(v, cents.format(v / 100)),
    cost: () => (v) => minus(cents.format(v / 100)),
    time: () => moment, clock: () => clock, length: () => length,
  };
  const TEXTS = ["text", "choice"];
  const NEVER = () => false;

  // "net<-20", "held>=60", "side=long", or a word that any text of the row must contain.
  const condition = (word, columns) => {
    const found = /^([a-z_ ]+)(<=|>=|<|>|=)(.+)$/i.exec(word);
    const index = found ? columns.findIndex((c) => [c.key, c.name.toLowerCase()].includes(found[1].toLowerCase())) : -1;
    if (index < 0) {
      const text = word.toLowerCase();
      return (row) => row.some((v, i) => TEXTS.includes(columns[i].kind) && String(v).toLowerCase().includes(text));
    }
    const kind = columns[index].kind === "clock" ? "time" : columns[index].kind;
    if (TEXTS.includes(kind)) return (row) => String(row[index]).toLowerCase().includes(found[3].toLowerCase());
    const unit = { money: 100, cost: 100, length: 1000 }[kind] || 1;
    const limit = (kind === "time" ? Date.parse(found[3] + (found[3].includes("T") ? "Z" : "")) : Number(found[3]) * unit);
    const tests = {
      "<": (v) => v < limit, ">": (v) => v > limit, "<=": (v) => v <= limit,
      ">=": (v) => v >= limit, "=": (v) => v === limit,
    };
    return Number.isNaN(limit) ? NEVER : (row) => row[index] !== null && tests[found[2]](row[index]);
  };

  const made = (tag, attributes = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) element.setAttribute(name, value);
    }
    element.append(...inside);
    return element;
  };

  const build = (place, table) => {
    const { columns, rows } = table;
    const format = columns.map((column) => shown[column.kind](column));
    let order = rows.map((_, index) => index);
    let sorted = null, down = false, at = 0, found = order;

    const search = made("input", { type: "search", "aria-label": "Filter " + table.label,
      placeholder: columns.some((c) => c.key === "held") ? "filter: words, or net<-20, held>60"
        : "filter: words" + (table.total ? ", or " + columns.find((c) => c.key === table.total).name.toLowerCase() + "<-20" : ""),
      autocomplete: "off", spellcheck: "false" });
    const choices = columns.map((column, index) => ({ column, index })).filter(({ column }) => column.kind === "choice")
      .map(({ column, index }) => {
        const values = [...new Set(rows.map((row) => row[index]))].sort();
        const select = made("select", { "aria-label": column.name });
        select.append(made("option", { value: "" }, column.name + ": all"));
        values.forEach((value) => select.append(made("option", { value: "=" + value }, String(value))));
        return { select, index, many: values.length > 1 };
      }).filter((choice) => choice.many);
    const status = made("p", { role: "status", class: "remark" });
    const tools = made("div", { class: "tools" }, search, ...choices.map((choice) => choice.select));
    const heads = columns.map((column, index) => {
      const button = made("button", { type: "button", title: column.title }, column.name);
      button.addEventListener("click", () => sort(index));
      return made("th", { scope: "col", class: TEXTS.includes(column.kind) ? "left" : "" }, button);
    });
    const body = made("tbody");
    const scroll = made("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": table.label },
      made("table", { class: "rows" }, made("thead", {}, made("tr", {}, ...heads)), body));
    const steps = [["First", () => 0], ["Previous", () => at - table.shown],
      ["Next", () => at + table.shown], ["Last", () => found.length - 1]].map(([name, where]) => {
      const button = made("button", { type: "button" }, name);
      button.addEventListener("click", () => { turn(where()); scroll.scrollTop = 0; });
      return button;
    });
    const pages = made("div", { class: "pager" }, ...steps);
    place.append(tools, status, scroll, pages);

    const sum = columns.findIndex((column) => column.key === table.total);
    const zoom = table.zoom && table.zoom.map((key) => columns.findIndex((column) => column.key === key));

    const rowOf = (index) => {
      const cells = columns.map((column, i) => {
        const value = rows[index][i];
        const sign = column.kind === "money" && value ? (value > 0 ? "good" : "bad") : "";
        const left = TEXTS.includes(column.kind) ? "left" : "";
        return made("td", { class: left || sign }, value === null ? "-" : format[i](value));
      });
      const row = made("tr", {}, ...cells);
      if (zoom) {
        row.tabIndex = -1;
        row.dataset.from = rows[index][zoom[0]];
        row.dataset.to = rows[index][zoom[1]];
      }
      return row;
    };
    const turn = (to) => {
      at = Math.max(0, Math.min(to, found.length - 1));
      at -= at % table.shown;
      const page = found.slice(at, at + table.shown);
      body.replaceChildren(...page.map(rowOf));
      if (zoom && body.firstChild) body.firstChild.tabIndex = 0;
      const end = at + page.length;
      const of = found.length === rows.length ? whole.format(rows.length)
        : whole.format(found.length) + " found of " + whole.format(rows.length);
      const money = sum < 0 ? "" : ", " + columns[sum].name.toLowerCase() + " "
        + plus(total(), cents.format(total() / 100));
      status.textContent = (found.length ? whole.format(at + 1) + " to " + whole.format(end) : "None")
        + " of " + of + money;
      pages.hidden = found.length <= table.shown;
      steps.slice(0, 2).forEach((button) => { button.disabled = at === 0; });
      steps.slice(2).forEach((button) => { button.disabled = end >= found.length; });
    };
    const total = () => found.reduce((all, index) => all + (rows[index][sum] || 0), 0);
    const filter = () => {
      const tests = search.value.trim().split(/\s+/).filter(Boolean).map((word) => condition(word, columns));
      choices.forEach(({ select, index }) => {
        if (select.value) tests.push((row) => "=" + row[index] === select.value);
      });
      found = tests.length ? order.filter((index) => tests.every((test) => test(rows[index]))) : order;
      turn(0);
    };
    const sort = (column) => {
      down = sorted === column ? !down : false;
      sorted = column;
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      // What has no value comes last both ways; equals stay as they were.
      order = rows.map((_, index) => index).sort((a, b) => {
        const left = rows[a][column], right = rows[b][column];
        if (left === null || right === null) return (left === null) - (right === null) || a - b;
        return (left < right ? -1 : left > right ? 1 : 0) * sign || a - b;
      });
      filter();
    };

    search.addEventListener("input", filter);
    choices.forEach(({ select }) => select.addEventListener("change", filter));
    if (zoom) {
      const choose = (row) => {
        body.querySelectorAll("[aria-current]").forEach((each) => each.removeAttribute("aria-current"));
        row.setAttribute("aria-current", "true");
        dispatchEvent(new CustomEvent("papertape-zoom", {
          detail: { from: Number(row.dataset.from), to: Number(row.dataset.to) },
        }));
      };
      body.addEventListener("click", (event) => {
        const row = event.target.closest("tr");
        if (row && !String(getSelection())) choose(row);
      });
      body.addEventListener("keydown", (event) => {
        const row = event.target.closest("tr");
        const next = { ArrowDown: row.nextSibling, ArrowUp: row.previousSibling }[event.key];
        if (next) { event.preventDefault(); row.tabIndex = -1; next.tabIndex = 0; next.focus(); }
        else if (event.key === "Enter") { event.preventDefault(); choose(row); }
      });
    }
    filter();
    place.dataset.ready = "yes";
  };

  for (const place of document.querySelectorAll("[data-table]")) {
    build(place, papertape.data.tables[place.dataset.table]);
  }
})();
