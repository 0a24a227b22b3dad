// The portal's own elements. Each improves what works without it; nothing here decides anything.
(() => {
  // Moves the focus to what it holds as soon as it is there: the summary of what is wrong with a form.
  customElements.define("x-focus", class extends HTMLElement {
    connectedCallback() { requestAnimationFrame(() => this.firstElementChild?.focus()); }
  });

  // A block of text with a button that copies it.
  customElements.define("x-copy", class extends HTMLElement {
    connectedCallback() {
      if (this.querySelector("button") || !navigator.clipboard) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      if (this.dataset.what) button.setAttribute("aria-label", `Copy ${this.dataset.what}`);
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(this.querySelector("pre, code").textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      this.prepend(button);
    }
  });

  // Takes the code of a sign-in link out of the address, which servers never see, into its field.
  customElements.define("x-code", class extends HTMLElement {
    connectedCallback() {
      const code = location.hash.slice(1), field = this.querySelector("input");
      if (!/^[0-9a-f]{64}$/.test(code) || !field) return;
      field.value = code;
      history.replaceState(null, "", location.pathname + location.search);
      this.closest("form").querySelector("button").focus();
    }
  });

  // A table of any length. Pages of 100 rows come from the server; three of them are kept between paddings, so that few rows are in the page.
  // Taller than 900,000 rows no browser makes an element.
  const SIZE = 100, HEIGHT = 36, KEPT = 30, MOST = 900_000;
  const SHAPES = ["shape", "reshaped"];
  const asIs = { createHTML: (html) => html }, trusted = window.trustedTypes?.createPolicy("vrows", asIs) ?? asIs;
  customElements.define("v-rows", class extends HTMLElement {
    connectedCallback() {
      if (this.pages) return;
      this.scroller = this.querySelector(".scroll");
      this.table = this.querySelector("table");
      this.body = this.table.tBodies[0];
      this.status = this.querySelector("[role=status]");
      const start = Number(this.dataset.start ?? 0);
      this.pages = new Map([[Math.floor(start / SIZE), [...this.body.rows]]]);
      this.isCounted = this.dataset.total !== "";
      this.isLive = "live" in this.dataset;
      this.querySelector(".pager")?.remove();
      const seen = start + this.body.rows.length;
      this.total = this.isCounted ? Number(this.dataset.total) : seen + ("more" in this.dataset ? SIZE : 0);
      this.show(this.wanted());
      if (Number(this.dataset.at)) this.go(Number(this.dataset.at), new URLSearchParams(location.search).has("row"));
      this.scroller.addEventListener("scroll", () => { this.later(); this.remember(); });
      this.querySelector(".go")?.addEventListener("submit", (event) => {
        event.preventDefault();
        const row = Number(event.target.elements.row.value);
        if (row >= 1) this.go(row - 1, true);
      });
      this.later();
      if (!this.isCounted) this.count();
      if (this.isLive) this.listen();
    }
    disconnectedCallback() {
      for (const name of SHAPES) document.removeEventListener(name, this.heard);
    }
    // A live list keeps only the rows that the stream reaches, and reads them anew when it may have missed something.
    listen() {
      let isFirst = true;
      this.heard = (event) => {
        if (event.type === "reshaped" || !isFirst) this.refresh();
        if (event.type === "shape") isFirst = false;
      };
      for (const name of SHAPES) document.addEventListener(name, this.heard);
    }
    async refresh() {
      if (this.isRefreshing) return;
      this.isRefreshing = true;
      await Promise.all(this.wanted().map((page) => this.read(page)));
      this.isRefreshing = false;
      this.later();
    }
    // The pages around the middle of what is seen, and those of them that are seen.
    wanted() {
      const page = (y) => Math.floor(Math.max(0, y) / (HEIGHT * SIZE)), last = Math.max(0, Math.ceil(Math.min(this.total, MOST) / SIZE) - 1);
      const top = this.scroller.scrollTop, end = top + this.scroller.clientHeight, middle = Math.min(last, page((top + end) / 2));
      this.seen = [...new Set([page(top), middle, page(end)])].filter((one) => one <= last);
      return [middle - 1, middle, middle + 1].filter((one) => one >= 0 && one <= last);
    }
    go(row, focuses) {
      row = Math.max(0, Math.min(row, this.total - 1, MOST - 1));
      this.target = focuses ? row : null;
      this.scroller.scrollTop = row * HEIGHT;
      this.later();
    }
    later() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.fill(); }); }
    // One batch is on its way at a time: what is seen, then its neighbours. What was scrolled past meanwhile is never asked for.
    async fill() {
      const wanted = this.wanted();
      this.show(wanted);
      if (this.isReading) return;
      const missing = wanted.filter((page) => !this.pages.has(page)), seen = missing.filter((page) => this.seen.includes(page));
      if (!missing.length) return;
      this.isReading = true;
      begin();
      const read = await Promise.all((seen.length ? seen : missing).map((page) => this.read(page)));
      end();
      this.isReading = false;
      if (read.every(Boolean)) this.later(); else this.show(this.wanted());
    }
    async ask(address, skip) {
      const url = new URL(address, location.href);
      if (skip !== undefined) url.searchParams.set("skip", skip);
      const answer = await fetch(url, { headers: { Accept: "text/html", "HX-Request": "true" } }).catch(() => null);
      if (answer?.ok || skip === undefined) return answer?.ok ? answer : null;
      const why = !answer ? "The server does not answer." : answer.status === 401 ? "You are signed out: sign in again in another tab." : `The server refused (${answer.status}).`;
      say(`Rows could not be read. ${why} Scroll to try again.`);
      this.isTroubled = true;
      return null;
    }
    async read(page) {
      const answer = await this.ask(this.dataset.source, page * SIZE);
      if (!answer) return false;
      const text = await answer.text().catch(() => null);
      if (text === null) return false;
      if (this.isTroubled) tell();
      this.isTroubled = false;
      const template = document.createElement("template");
      template.innerHTML = trusted.createHTML(text);
      const rows = [...template.content.querySelectorAll("tr")];
      if (this.pages.size >= KEPT) this.pages.delete(this.pages.keys().next().value);
      this.pages.set(page, rows);
      this.shown = null;
      const end = answer.headers.get("X-Total");
      if (end !== null) this.settle(Number(end));
      else if (!rows.length) this.settle(Math.min(this.total, page * SIZE));
      else if (!this.isCounted) this.total = Math.max(this.total, (page + 2) * SIZE);
      return true;
    }
    async count() {
      const answer = await this.ask(this.dataset.count);
      const text = await answer?.text().catch(() => null);
      if (!text) return;
      this.status.textContent = text.trim();
      const end = answer.headers.get("X-Total");
      if (end !== null) { this.isCounted = true; this.settle(Number(end)); }
      this.later();
    }
    settle(total) {
      if (this.total === total) return;
      this.total = total;
      this.shown = null;
    }
    // Pages that are not there yet are paddings of their height. What has the focus keeps it, or hands it to the whole.
    show(wanted) {
      if (String(wanted) !== this.shown) {
        this.shown = String(wanted);
        const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
        const total = Math.min(this.total, MOST), parts = [];
        if (this.isLive) for (const page of [...this.pages.keys()]) if (!wanted.includes(page)) this.pages.delete(page);
        let place = 0;
        for (const page of wanted) {
          const rows = this.pages.get(page) ?? [], start = page * SIZE;
          if (start > place) parts.push(this.pad(start - place));
          parts.push(...rows);
          place = start + rows.length;
        }
        if (total > place) parts.push(this.pad(total - place));
        this.body.replaceChildren(...parts);
        this.table.setAttribute("aria-rowcount", this.isCounted ? this.total + 1 : -1);
        if (focused?.isConnected) focused.focus({ preventScroll: true });
        else if (focused) this.scroller.focus({ preventScroll: true });
      }
      if (this.target === null || this.target === undefined) return;
      const link = this.body.querySelector(`tr[aria-rowindex="${this.target + 2}"] a`);
      if (link) { link.focus({ preventScroll: true }); this.target = null; }
    }
    pad(rows) {
      const row = document.createElement("tr"), cell = document.createElement("td");
      row.setAttribute("aria-hidden", "true");
      cell.className = "pad";
      cell.colSpan = this.table.tHead.rows[0].cells.length;
      cell.style.height = `${rows * HEIGHT}px`;
      row.append(cell);
      return row;
    }
    // The place is part of the address, so that it survives a reload and can be passed on.
    remember() {
      clearTimeout(this.resting);
      this.resting = setTimeout(() => {
        if (!this.isConnected) return;
        const url = new URL(location.href), row = Math.round(this.scroller.scrollTop / HEIGHT);
        url.searchParams.delete("row");
        if (row) url.searchParams.set("skip", row); else url.searchParams.delete("skip");
        history.replaceState(history.state, "", url);
      }, 150);
    }
  });

  // What goes wrong on the way: a server that is away, an answer that takes long. What was typed stays.
  const tell = (...parts) => document.getElementById("notice")?.replaceChildren(...parts);
  const say = (text) => {
    const box = document.createElement("div");
    box.className = "note bad";
    box.textContent = text;
    tell(box);
  };
  let slow = 0;
  const show = (isSlow) => document.body.classList.toggle("is-slow", isSlow);
  const begin = () => { slow ||= setTimeout(show, 400, true); };
  const end = () => { clearTimeout(slow); slow = 0; show(false); };
  const on = (name, then) => document.addEventListener(name, then);
  const isStream = (event) => event.target.matches?.("#stream");
  const lost = () => say("The connection for live updates was lost; it is tried again by itself.");
  // The extension tries again what broke off; what could not even begin is up to us.
  const again = (event) => setTimeout(() => htmx.trigger(event.target, "again"), 3000);
  on("htmx:before:request", (event) => { if (!isStream(event)) begin(); });
  on("htmx:finally:request", end);
  on("htmx:error", (event) => {
    end();
    if (event.detail?.ctx?.response) return;
    if (isStream(event)) { lost(); again(event); } else say("The server does not answer. What you typed is still here; try again in a moment.");
  });
  on("htmx:response:error", (event) => { if (isStream(event) && event.detail.ctx.response.status >= 500) again(event); });
  on("htmx:sse:error", lost);
  on("htmx:sse:after:connection", () => tell());

  // A live page whose parts came or went fetches itself again, unless somebody is typing in it.
  let shape = null;
  on("shape", (event) => {
    if (shape !== null && shape !== event.detail.data) htmx.trigger(event.target, "reshaped");
    shape = event.detail.data;
  });
  on("reshaped", (event) => { if (event.detail?.data) shape = event.detail.data; });
  on("refused", () => say("You are signed out, or may not see this any more. Reload the page."));
})();
