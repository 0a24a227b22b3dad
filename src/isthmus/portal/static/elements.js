// The portal's own elements. Each improves what works without it; nothing here decides anything.
(() => {
  "use strict";

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
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(this.querySelector("pre").textContent);
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

  // A table of any length: pages of 100 rows come from the server, three of them are kept between two paddings.
  const trusted = window.trustedTypes ? trustedTypes.createPolicy("vrows", { createHTML: (html) => html }) : { createHTML: (html) => html };
  customElements.define("v-rows", class extends HTMLElement {
    connectedCallback() {
      this.size = 100;
      this.height = 36;
      this.pages = new Map();
      this.scroller = this.querySelector(".scroll");
      this.body = this.querySelector("tbody");
      this.table = this.querySelector("table");
      if (!this.scroller || !this.dataset.source) return;
      this.total = Number(this.dataset.total || 0);
      this.first = this.body.innerHTML;
      this.querySelector(".pager")?.remove();
      this.scroller.addEventListener("scroll", () => this.later(), { passive: true });
      const offset = Number(this.dataset.skip || 0);
      this.pages.set(Math.floor(offset / this.size), [...this.body.rows]);
      if (offset) this.scroller.scrollTop = offset * this.height;
      this.later();
      // A live list keeps only the rows that the stream reaches, and reads them anew when it may have missed something.
      if (!("live" in this.dataset)) return;
      let isFirst = true;
      this.heard = (event) => {
        if (event.type === "reshaped" || !isFirst) this.refresh();
        if (event.type === "shape") isFirst = false;
      };
      for (const name of ["shape", "reshaped"]) document.addEventListener(name, this.heard);
    }
    disconnectedCallback() {
      for (const name of ["shape", "reshaped"]) document.removeEventListener(name, this.heard);
    }
    async refresh() {
      if (this.refreshing) return;
      this.refreshing = true;
      const kept = this.shown ?? [];
      for (const page of [...this.pages.keys()]) if (!kept.includes(page)) this.pages.delete(page);
      await Promise.all(kept.map((page) => this.fetch(page)));
      this.refreshing = false;
      this.shown = null;
      this.later();
    }
    later() {
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.fill(); });
    }
    async fill() {
      const middle = Math.floor((this.scroller.scrollTop + this.scroller.clientHeight / 2) / (this.height * this.size));
      const last = Math.max(0, Math.ceil(this.total / this.size) - 1);
      const wanted = [middle - 1, middle, middle + 1].filter((page) => page >= 0 && page <= last);
      if (String(wanted) !== String(this.shown)) this.show(wanted);
      const missing = wanted.filter((page) => !this.pages.has(page));
      if (!missing.length) return;
      await Promise.all(missing.map((page) => this.fetch(page)));
      this.shown = null;
      this.later();
    }
    async fetch(page) {
      if (!this.pages.has(page)) this.pages.set(page, []);
      const url = new URL(this.dataset.source, location.href);
      url.searchParams.set("skip", page * this.size);
      const answer = await fetch(url, { headers: { Accept: "text/html", "HX-Request": "true" } }).catch(() => null);
      if (!answer?.ok) {
        this.pages.delete(page);
        say(answer ? `Rows could not be read (${answer.status}).` : "The server does not answer; rows could not be read.");
        return;
      }
      this.total = Number(answer.headers.get("X-Total") ?? this.total);
      const rows = document.createElement("template");
      rows.innerHTML = trusted.createHTML(await answer.text());
      this.pages.set(page, [...rows.content.querySelectorAll("tr")]);
      if (this.pages.size > 30) this.pages.delete(this.pages.keys().next().value);
    }
    show(wanted) {
      this.shown = wanted;
      const rows = wanted.flatMap((page) => this.pages.get(page) ?? []);
      const before = wanted.length ? wanted[0] * this.size : 0;
      const here = wanted.reduce((sum, page) => sum + Math.min(this.size, this.total - page * this.size), 0);
      if ("live" in this.dataset) for (const page of [...this.pages.keys()]) if (!wanted.includes(page)) this.pages.delete(page);
      const held = rows.length * this.height;
      this.body.replaceChildren(this.pad(before * this.height), ...rows, this.pad(Math.max(0, (this.total - before - here) * this.height + here * this.height - held)));
      this.table.setAttribute("aria-rowcount", this.total + 1);
    }
    pad(height) {
      const row = document.createElement("tr"), cell = document.createElement("td");
      row.setAttribute("aria-hidden", "true");
      cell.className = "pad";
      cell.colSpan = this.table.tHead.rows[0].cells.length;
      cell.style.height = `${height}px`;
      row.append(cell);
      return row;
    }
  });

  // What goes wrong on the way: a server that is away, an answer that takes long. What was typed stays.
  const say = (text) => {
    const notice = document.getElementById("notice");
    if (!notice) return;
    const box = document.createElement("div");
    box.className = "note bad";
    box.textContent = text;
    notice.replaceChildren(box);
  };
  let slow = 0;
  const begin = () => { slow ||= setTimeout(() => document.body.classList.add("is-slow"), 400); };
  const end = () => { clearTimeout(slow); slow = 0; document.body.classList.remove("is-slow"); };
  document.addEventListener("htmx:before:request", (event) => { if (!event.target.matches?.("#stream")) begin(); });
  document.addEventListener("htmx:finally:request", end);
  document.addEventListener("htmx:error", (event) => {
    end();
    if (event.target.matches?.("#stream")) return;
    if (!event.detail?.ctx?.response) say("The server does not answer. What you typed is still here; try again in a moment.");
  });
  document.addEventListener("htmx:sse:error", () => say("The connection for live updates was lost; it is tried again by itself."));
  document.addEventListener("htmx:sse:after:connection", () => { document.getElementById("notice")?.replaceChildren(); });

  // A live page whose parts came or went fetches itself again, unless somebody is typing in it.
  let shape = null;
  document.addEventListener("shape", (event) => {
    if (shape !== null && shape !== event.detail.data) event.target.dispatchEvent(new CustomEvent("reshaped", { bubbles: true }));
    shape = event.detail.data;
  });
  document.addEventListener("reshaped", (event) => { if (event.detail?.data) shape = event.detail.data; });
  document.addEventListener("refused", () => say("You are signed out, or may not see this any more. Reload the page."));
})();
