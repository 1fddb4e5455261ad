"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const make = (tag, text = "", name = "") => {
    const element = document.createElement(tag);
    if (text !== "") element.textContent = text; // texts come from strategies: never as markup
    if (name) element.className = name;
    return element;
  };
  const FILLS_SHOWN = 200, LOG_SHOWN = 200, SECONDS_KEPT = 7200, SURE_MS = 4000, SILENT_MS = 6000;

  // --- what is known --------------------------------------------------------------------------

  let known = null; // the snapshot with every message since
  let shown = null; // the symbol of the chart
  let socket = null, wait = 300, heardAt = 0, keys = 0, isRefused = false, wasConnected = false;
  const asked = new Map(); // key of a request -> what to do with its answer
  const orders = new Map(), positions = new Map(), fresh = new Set();

  const begin = (snapshot) => {
    known = snapshot;
    orders.clear(); positions.clear();
    snapshot.orders.forEach((order) => orders.set(order.order_id, order));
    snapshot.positions.forEach((position) => positions.set(position.symbol, position));
    const symbols = snapshot.instruments.map((each) => each.symbol);
    if (!symbols.includes(shown)) shown = symbols[0];
    drawTabs();
    chart.load();
  };

  const take = (message) => {
    const { type, number, ...told } = message;
    if (type === "order") {
      orders.delete(message.order_id);
      if (message.working) orders.set(message.order_id, message);
    } else if (type === "position") positions.set(message.symbol, message);
    else if (type === "quote") {
      specOf(message.symbol).quote = message;
      if (message.mid !== null && message.symbol === shown) chart.price(message.time_ms, message.mid);
      const kept = known.prices[message.symbol];
      if (message.mid !== null) kept.push([message.time_ms, message.mid]);
      if (kept.length > SECONDS_KEPT * 2) kept.splice(0, SECONDS_KEPT);
    } else if (type === "fill") {
      known.fills.push(message); fresh.add(message.number);
      if (known.fills.length > FILLS_SHOWN * 2) known.fills.splice(0, FILLS_SHOWN);
      chart.marks();
    } else if (type === "log") {
      known.log.push(message);
      if (known.log.length > LOG_SHOWN * 2) known.log.splice(0, LOG_SHOWN);
    } else {
      Object.assign(known[type], told);
      if (type === "session" && known.session.ended && !known.operable) showWhole(true);
    }
  };

  const specOf = (symbol) => known.instruments.find((each) => each.symbol === symbol);

  // --- numbers --------------------------------------------------------------------------------

  const fixed = (value, digits) => value === null || value === undefined ? "–" :
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const priceText = (symbol, value) => fixed(value, specOf(symbol).digits);
  const sizeText = (symbol, value) => fixed(value, specOf(symbol).size_digits);
  const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + fixed(Math.abs(value), 2);
  const shade = (value) => Math.abs(value) < 0.005 ? "" : value > 0 ? "good" : "bad";
  const clockText = (ms) => new Date(ms).toISOString().slice(11, 19);
  const dateText = (ms) => new Date(ms).toISOString().slice(0, 10);
  const ageText = (ms) => ms === null || ms === undefined ? "–" :
    ms < 1000 ? ms + " ms" : ms < 120000 ? (ms / 1000).toFixed(1) + " s" : Math.round(ms / 60000) + " min";
  const heardText = () => {
    const ms = performance.now() - heardAt;
    return !heardAt ? "–" : ms < 2000 ? "just now" : ageText(Math.floor(ms / 1000) * 1000) + " ago";
  };
  const write = (id, text, name) => {
    const element = at(id);
    if (element.textContent !== text) element.textContent = text;
    if (name !== undefined && element.className !== name) element.className = name;
  };

  // --- the chart ------------------------------------------------------------------------------

  const chart = makeChart(at("chart"), () => ({
    known, orders, spec: specOf(shown), position: positions.get(shown), text: (size) => sizeText(shown, size),
  }));

  // --- tables ---------------------------------------------------------------------------------

  const cell = (text, name = "", label = "") => {
    const element = make("td", text, name);
    if (label) element.dataset.name = label;
    return element;
  };

  // Rows are kept by key, so that a button under somebody's finger is not replaced.
  const fillTable = (id, rows, emptyId) => {
    const body = at(id).tBodies[0];
    const before = new Map([...body.rows].map((row) => [row.dataset.key, row]));
    const wanted = rows.map(({ key, version, build }) => {
      const old = before.get(key);
      if (old && old.dataset.version === version) return old;
      const row = build(old);
      row.dataset.key = key;
      row.dataset.version = version;
      return row;
    });
    if (wanted.length !== body.rows.length || wanted.some((row, index) => body.rows[index] !== row)) {
      const focused = document.activeElement;
      body.replaceChildren(...wanted);
      if (focused && body.contains(focused)) focused.focus();
    }
    at(id).hidden = rows.length === 0;
    at(emptyId).hidden = rows.length > 0;
  };

  // A button that has to be pressed twice.
  const sureButton = (text, run) => {
    const button = make("button", text, "small act-row");
    button.type = "button";
    let timer = null;
    const calm = () => { clearTimeout(timer); timer = null; button.textContent = text; button.classList.remove("sure"); };
    button.addEventListener("click", () => {
      if (timer) { calm(); button.disabled = true; run().finally(() => { button.disabled = !mayAct(); }); return; }
      button.textContent = "Sure?";
      button.classList.add("sure");
      timer = setTimeout(calm, SURE_MS);
    });
    button.disabled = !mayAct();
    return button;
  };

  const orderRow = (order, old) => {
    const row = make("tr");
    const bracket = order.role === "single" ? "" : order.role;
    const name = cell(String(order.order_id), "", "order");
    if (order.tag) name.append(" ", make("small", order.tag));
    const kind = cell(order.kind);
    if (bracket) kind.append(" ", make("small", bracket));
    const status = order.held ? "held" : order.status.replace("_", " ");
    const button = sureButton("Cancel", () => ask({ action: "cancel", order_id: order.order_id }));
    button.setAttribute("aria-label", `Cancel order ${order.order_id}`);
    const last = make("td", "", "do");
    const kept = old && old.querySelector("button"); // the press that was begun goes on
    last.append(kept || button);
    row.append(name, cell(order.symbol), cell(order.side, order.side), kind,
      cell(sizeText(order.symbol, order.size), "n", "size"), cell(sizeText(order.symbol, order.filled), "n", "filled"),
      cell(order.limit === null ? "" : priceText(order.symbol, order.limit), "n" + (order.limit === null ? " none" : ""), "limit"),
      cell(order.stop === null ? "" : priceText(order.symbol, order.stop), "n" + (order.stop === null ? " none" : ""), "stop"),
      cell(status, order.status === "uncertain" ? "warn" : ""), last);
    return row;
  };

  const positionRow = (position) => {
    const row = make("tr");
    const last = make("td", "", "do");
    const button = make("button", "Flatten", "small act-row");
    button.type = "button";
    button.disabled = !mayAct();
    button.setAttribute("aria-label", `Flatten ${position.symbol}`);
    button.addEventListener("click", () => flatten(position.symbol));
    last.append(button);
    row.append(cell(position.symbol), cell(sizeText(position.symbol, position.size), "n " + (position.size > 0 ? "buy" : "sell")),
      cell(priceText(position.symbol, position.average), "n"), cell(signed(position.unrealised), "n open " + shade(position.unrealised)), last);
    return row;
  };

  const drawPositions = () => {
    const open = [...positions.values()].filter((each) => each.size);
    fillTable("positions", open.map((each) => ({
      key: each.symbol, version: `${each.size} ${each.average}`, build: () => positionRow(each),
    })), "no-positions");
    for (const row of at("positions").tBodies[0].rows) {
      const position = positions.get(row.dataset.key), figure = row.querySelector(".open");
      figure.textContent = signed(position.unrealised);
      figure.className = "n open " + shade(position.unrealised);
    }
  };

  const drawOrders = () => {
    const all = [...orders.values()].sort((a, b) => a.order_id - b.order_id);
    fillTable("orders", all.map((order) => ({
      key: String(order.order_id), version: JSON.stringify({ ...order, number: 0, updated_ms: 0 }),
      build: (old) => orderRow(order, old),
    })), "no-orders");
    write("orders-count", all.length ? String(all.length) : "");
  };

  const drawFills = () => {
    const newest = known.fills.slice(-FILLS_SHOWN).reverse();
    fillTable("fills", newest.map((fill) => ({
      key: String(fill.seq), version: "", build: () => {
        const row = make("tr", "", fresh.has(fill.number) ? "fresh" : "");
        row.append(cell(clockText(fill.time_ms)), cell(fill.symbol), cell(fill.side, fill.side),
          cell(sizeText(fill.symbol, fill.size), "n"), cell(priceText(fill.symbol, fill.price), "n"), cell(fixed(fill.fee, 2), "n"));
        return row;
      },
    })), "no-fills");
    write("fills-count", known.fills.length ? String(known.fills.length) : "");
  };

  const drawLog = () => {
    const list = at("log"), newest = known.log.slice(-LOG_SHOWN);
    const last = newest.length ? String(newest[newest.length - 1].number) : "";
    if (list.dataset.last === last) return;
    list.dataset.last = last;
    list.replaceChildren(...newest.reverse().map((line) => {
      const item = make("li", "", line.level);
      item.append(make("time", clockText(line.time_ms)), make("span", line.text));
      return item;
    }));
  };

  const drawRisk = () => {
    const box = at("risk"), { halted, rules } = known.risk;
    const version = JSON.stringify(known.risk);
    if (box.dataset.version === version) return;
    box.dataset.version = version;
    const parts = halted ? [make("p", halted, "halt")] : [];
    rules.forEach((rule) => {
      const element = make("div", "", "rule"), words = make("div");
      const state = rule.is_broken ? "bad" : rule.used !== null && rule.used > 0.8 ? "warn" : "";
      const figures = make("span", rule.value + " ", state);
      figures.append(make("span", (rule.rule === "trailing_drawdown" ? "floor " : "of ") + rule.limit, "of"));
      words.append(make("span", rule.rule.replaceAll("_", " ")), figures);
      element.append(words);
      if (rule.used !== null) {
        const bar = make("meter");
        Object.assign(bar, { min: 0, max: 1, low: 0.6, high: 0.85, optimum: 0, value: Math.min(1, rule.used) });
        bar.setAttribute("aria-label", `${rule.rule}: ${Math.round(rule.used * 100)} % used`);
        element.append(bar);
      }
      parts.push(element);
    });
    box.replaceChildren(...parts);
    at("no-risk").hidden = parts.length > 0;
  };

  const drawHealth = () => {
    const health = known.health;
    const rows = [
      ["market data", health.feed_age_ms === null || health.feed_age_ms === undefined ? "none yet" : ageText(health.feed_age_ms) + " old", health.feed_age_ms > 5000 ? "warn" : ""],
      ["lag of messages", ageText(health.lag_ms), health.lag_ms > 1000 ? "warn" : ""],
      ["messages queued", String(health.queued ?? "–"), health.queued > 100 ? "warn" : ""],
      ["uncertain orders", (health.uncertain || []).join(", ") || "none", (health.uncertain || []).length ? "bad" : ""],
      ["discrepancies", health.discrepancies ? String(health.discrepancies) : "none", health.discrepancies ? "bad" : ""],
      ["last word", heardText(), ""],
    ];
    const list = at("health");
    if (list.children.length !== rows.length * 2) {
      list.replaceChildren(...rows.flatMap(([name]) => [make("dt", name), make("dd")]));
    }
    rows.forEach(([, text, name], index) => {
      const place = list.children[index * 2 + 1];
      if (place.textContent !== text) place.textContent = text;
      place.className = name;
    });
  };

  const drawTabs = () => {
    at("tabs").replaceChildren(...known.instruments.map(({ symbol }) => {
      const tab = make("button", symbol);
      tab.type = "button";
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(symbol === shown));
      tab.addEventListener("click", () => { shown = symbol; drawTabs(); chart.load(); draw(); });
      return tab;
    }));
  };

  const drawQuote = () => {
    const quote = specOf(shown).quote;
    if (!quote) { at("quote").textContent = "no quote yet"; return; }
    const part = (name, value, size, shade) => {
      const element = make("span", "");
      element.append(make("small", name + " "), make("b", priceText(shown, value), shade));
      if (size !== null) element.append(make("small", " × " + sizeText(shown, size), "size"));
      return element;
    };
    at("quote").replaceChildren(part("bid", quote.bid, quote.bid_size, "buy"), part("ask", quote.ask, quote.ask_size, "sell"),
      part("last", quote.last, null, ""));
  };

  const drawMoney = () => {
    const { account, session } = known;
    write("equity", fixed(account.equity, 2));
    write("equity-note", "cash " + fixed(account.cash, 2) + " " + session.currency);
    write("open", signed(account.unrealised ?? 0), shade(account.unrealised ?? 0));
    write("open-note", [...positions.values()].some((each) => each.size) ? "at bid or ask" : "flat");
    write("realised", signed(account.realised ?? 0), shade(account.realised ?? 0));
    write("fees", fixed(account.fees, 2));
    write("fees-note", account.funding ? "funding " + signed(account.funding) : "");
  };

  // --- the whole ------------------------------------------------------------------------------

  const mayAct = () => Boolean(known && known.operable && !known.session.ended && socket && socket.readyState === WebSocket.OPEN);

  const stateOf = () => {
    if (isRefused) return ["refused", "not let in", "This page's token is no longer good. Open the address that `papertape ui` prints."];
    if (known && known.session.ended) {
      const { failure } = known.session;
      if (!known.operable) return ["ended", "ended", "The end of the run."];
      return ["ended", "ended", failure ? "The session was stopped by " + failure : "The session has ended."];
    }
    if (!socket || socket.readyState !== WebSocket.OPEN || !known) {
      return wasConnected
        ? ["lost", "connection lost", "The connection to the session is lost; trying again. What is shown is as it was then, and nothing can be done from here."]
        : ["connecting", "connecting", ""];
    }
    const { risk } = known;
    if (performance.now() - heardAt > SILENT_MS) return ["silent", "silent", "No word from the session: it is busy, or stuck. `papertape stop` in a terminal asks it to cancel."];
    if (risk.halted) return ["halted", "halted", "Halted: " + risk.halted];
    return ["live", known.operable ? "connected" : "replay", ""];
  };

  const drawState = () => {
    const [state, text, banner] = stateOf();
    document.body.dataset.state = state;
    write("state", text);
    write("banner", banner);
    at("banner").hidden = !banner;
    document.querySelectorAll(".act, .act-row").forEach((button) => { button.disabled = !mayAct(); });
    if (!known) return;
    const { session, health } = known, ms = health.time_ms ?? session.time_ms;
    write("name", session.name);
    write("mode", session.mode);
    at("mode").hidden = false;
    at("mode").dataset.mode = session.mode;
    write("account", `${session.account} at ${session.broker} ·`);
    write("clock", `${dateText(ms)} ${clockText(ms)} UTC`);
    document.title = `${session.name} · ${state === "live" ? signed((known.account.equity ?? 0) - (known.account.cash ?? 0)) : text}`;
    document.body.dataset.operable = known.operable ? "yes" : "no";
    drawHealth();
  };

  const draw = () => {
    drawState();
    if (!known) return;
    drawMoney(); drawQuote(); drawPositions(); drawOrders(); drawFills(); drawLog(); drawRisk();
  };

  let isDue = false;
  const drawSoon = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; draw(); });
  };

  // --- acting ---------------------------------------------------------------------------------

  const toast = (text, isBad) => {
    const element = make("div", text, isBad ? "toast bad" : "toast");
    at("toasts").append(element);
    setTimeout(() => element.remove(), isBad ? 12000 : 6000);
  };

  const ask = (request) => new Promise((done) => {
    if (!mayAct()) { toast("Not connected: nothing was sent.", true); done(null); return; }
    const key = ++keys;
    asked.set(key, done);
    socket.send(JSON.stringify({ ...request, source: "page", key }));
  }).then((answer) => {
    if (answer) toast(answer.error || answer.text, Boolean(answer.error) || !answer.done);
    return answer;
  });

  const dialog = at("dialog");
  let agreed = null;
  const openDialog = ({ title, text, button, word, close }, run) => {
    write("dialog-title", title);
    write("dialog-text", text);
    write("dialog-yes", button);
    at("dialog-type").hidden = !word;
    at("dialog-close").hidden = !close;
    at("dialog-word").value = "";
    at("dialog-flatten").checked = false;
    at("dialog-yes").disabled = Boolean(word);
    agreed = run;
    dialog.showModal();
    (word ? at("dialog-word") : at("dialog-no")).focus();
  };
  at("dialog-word").addEventListener("input", () => {
    at("dialog-yes").disabled = at("dialog-word").value.trim().toUpperCase() !== "KILL";
  });
  const agree = () => { if (!at("dialog-yes").disabled) { const run = agreed; dialog.close(); run(); } };
  at("dialog-yes").addEventListener("click", agree);
  at("dialog-no").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); agree(); });

  const flatten = (symbol) => openDialog({
    title: symbol ? `Flatten ${symbol}?` : "Flatten everything?",
    text: `Orders that could add exposure are cancelled, and ${symbol ? "the position is" : "every position is"} closed at market. The strategy goes on and may trade again.`,
    button: "Flatten",
  }, () => ask(symbol ? { action: "flatten", instrument: symbol } : { action: "flatten" }));
  at("flatten-all").addEventListener("click", () => flatten(null));
  at("kill").addEventListener("click", () => openDialog({
    title: "Press the kill switch?", word: true, close: true, button: "Kill",
    text: "Every entry is cancelled, and nothing that adds exposure is sent any more: for good. Exits of open positions stay unless you close the positions too.",
  }, () => ask({ action: "kill", flatten: at("dialog-flatten").checked })));

  // --- the connection -------------------------------------------------------------------------

  const lost = () => {
    asked.forEach((done) => done({ error: "The connection was lost before the answer came: look at what is there." }));
    asked.clear();
    socket = null;
    draw();
    fetch("/snapshot", { method: "GET", cache: "no-store" })
      .then((response) => { isRefused = response.status === 401 || response.status === 403; })
      .catch(() => { isRefused = false; })
      .finally(() => { drawState(); setTimeout(connect, wait); wait = Math.min(wait * 1.6, 3000); });
  };

  const connect = () => {
    socket = new WebSocket(`ws://${location.host}/stream`);
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      heardAt = performance.now();
      if (message.type === "snapshot") {
        wait = 300; isRefused = false; wasConnected = true;
        begin(message);
      } else if (message.type === "answer") {
        const done = asked.get(message.key);
        asked.delete(message.key);
        if (done) done(message);
      } else {
        message.messages.forEach(take);
        if (message.messages.some(({ type }) => type === "order" || type === "position")) chart.guides();
      }
      drawSoon();
    });
    socket.addEventListener("close", lost, { once: true });
  };

  // --- the chart's reach ----------------------------------------------------------------------

  const showWhole = (whole) => {
    at("whole").setAttribute("aria-pressed", String(whole));
    chart.reach(whole);
  };
  at("whole").addEventListener("click", () => showWhole(at("whole").getAttribute("aria-pressed") !== "true"));

  // --- light and dark -------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => chart.restyle());
  at("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    chart.restyle();
  });

  setInterval(drawState, 500);
  connect();
})();
