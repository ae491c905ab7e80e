(() => {
  const problems = [];
  const shown = (e) => { const s = getComputedStyle(e); return s.visibility !== "hidden" && e.getClientRects().length > 0; };
  const name = (e) => (e.tagName + (e.id ? "#" + e.id : "") + " " + (e.textContent || "").trim().slice(0, 40));
  if (document.documentElement.lang !== "en") problems.push("no language");
  if (!document.title) problems.push("no title");
  if (document.querySelectorAll("h1").length !== 1) problems.push("not one h1");
  let level = 0;
  for (const h of document.querySelectorAll("h1,h2,h3,h4")) {
    const next = Number(h.tagName[1]);
    if (next > level + 1) problems.push("heading skips a level: " + name(h));
    if (!h.textContent.trim()) problems.push("empty heading");
    level = next;
  }
  for (const mark of ["header", "main", "footer", "nav[aria-label]"])
    if (!document.querySelector(mark)) problems.push("no " + mark);
  const ids = {};
  for (const e of document.querySelectorAll("[id]")) { if (ids[e.id]) problems.push("twice: #" + e.id); ids[e.id] = true; }
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"])
    for (const e of document.querySelectorAll("[" + attribute + "]"))
      if (!document.getElementById(e.getAttribute(attribute))) problems.push(attribute + " leads nowhere: " + e.getAttribute(attribute));
  for (const e of document.querySelectorAll("input:not([type=hidden]),select,textarea"))
    if (!e.labels.length && !e.getAttribute("aria-label")) problems.push("no label: " + e.name);
  for (const e of document.querySelectorAll("a,button,summary"))
    if (!e.textContent.trim() && !e.getAttribute("aria-label")) problems.push("no name: " + e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("a")) if (!e.getAttribute("href")) problems.push("a link to nothing: " + name(e));
  for (const e of document.querySelectorAll("table")) {
    for (const th of e.querySelectorAll("th")) if (!th.scope) problems.push("th without scope: " + name(th));
    if (!e.querySelector("thead")) problems.push("table without head");
  }
  for (const e of document.querySelectorAll("ul,ol")) for (const c of e.children) if (c.tagName !== "LI") problems.push("in a list: " + c.tagName);
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) problems.push("tabindex above 0");
  for (const e of document.querySelectorAll("script,[style],[onclick],iframe")) problems.push("not allowed: " + e.tagName);

  // WCAG 2.1: 4.5 for text, 3 for large text.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat([1]);
  const light = (c) => { const l = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  const ground = (e) => { const stack = []; for (let n = e; n; n = n.parentElement) stack.unshift(parse(getComputedStyle(n).backgroundColor)); return stack.reduce((below, c) => over(c, below), [255, 255, 255, 1]); };
  const seen = {};
  let least = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(e) || e.closest(".hidden,.skip,svg title")) continue;
    const style = getComputedStyle(e);
    const text = e.closest("svg") ? style.fill : style.color;
    const back = ground(e);
    const key = text + back;
    if (seen[key]) continue;
    seen[key] = true;
    const a = light(over(parse(text), back)), b = light(back);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    least = Math.min(least, ratio);
    const size = parseFloat(style.fontSize);
    if (ratio < (size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5)) problems.push("contrast " + ratio.toFixed(2) + ": " + name(e));
  }
  const width = document.scrollingElement.scrollWidth;
  if (width > innerWidth) {
    const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll,pre,.hidden,.skip"));
    problems.push("wider than the window: " + width + " " + wide.slice(0, 3).map(name).join("; "));
  }
  for (const e of document.querySelectorAll("a,button,input:not([type=hidden]),summary")) {
    const box = e.getBoundingClientRect();
    if (shown(e) && !e.closest(".skip,.hidden") && !e.closest("td,th,p,dd,li li,.names,svg") && Math.min(box.width, box.height) < 24) problems.push("smaller than 24 pixels: " + name(e));
  }
  return problems;
})()
