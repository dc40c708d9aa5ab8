// audit lists what is wrong with the page as it is drawn now: an array of strings, empty if nothing is.
(() => {
  const problems = [];
  const width = document.documentElement.clientWidth;
  const name = (e) => `${e.tagName.toLowerCase()}${e.className ? "." + e.className : ""} "${(e.textContent || "").trim().slice(0, 40)}"`;
  const hidden = (e) => e.closest(".hidden, .skip") || !e.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true });

  // Overflow: nothing is wider than the window, and no text runs out of its box.
  if (document.documentElement.scrollWidth > width) problems.push(`overflow: the page is ${document.documentElement.scrollWidth} px wide in a window of ${width}`);
  for (const e of document.querySelectorAll("body *")) {
    if (hidden(e) || e.closest("thead") && getComputedStyle(e.closest("thead")).position === "absolute") continue;
    const box = e.getBoundingClientRect();
    if (box.right > width + 1 || box.left < -1) problems.push(`overflow: ${name(e)} ends at ${Math.round(box.right)} of ${width}`);
    const display = getComputedStyle(e).display;
    if (display !== "inline" && e.scrollWidth > e.clientWidth + 1) problems.push(`overflow: ${name(e)} has ${e.scrollWidth} px in ${e.clientWidth}`);
  }

  // Contrast: WCAG 2.2, "contrast ratio" and "relative luminance"; 4.5 for text of any size, 3 for what is drawn.
  const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const background = (e) => {
    const stack = [];
    for (let at = e; at; at = at.parentElement) stack.push(parse(getComputedStyle(at).backgroundColor));
    return stack.reverse().reduce((under, c) => over(c, under), matchMedia("print").matches ? [255, 255, 255] : parse(getComputedStyle(document.body).backgroundColor));
  };
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || hidden(e)) continue;
    texts++;
    const under = background(e), ratio = contrast(over(parse(getComputedStyle(e).color), under), under);
    if (ratio < 4.5) problems.push(`contrast: ${name(e)} has ${ratio.toFixed(2)}`);
  }
  if (texts === 0) problems.push("contrast: no text was found");
  for (const bar of document.querySelectorAll(".bar")) {
    const ratio = contrast(parse(getComputedStyle(bar).backgroundColor)[3] ? background(bar) : background(bar.parentElement), background(bar.parentElement));
    if (getComputedStyle(bar).backgroundImage === "none" && ratio < 3) problems.push(`contrast: a bar has ${ratio.toFixed(2)}`);
  }

  // Labels: names and structure that a screen reader goes by. What each node is called is for the browser's own tree to say.
  if (!document.documentElement.lang) problems.push("label: the page names no language");
  if (!document.title.trim()) problems.push("label: the page has no title");
  if (document.querySelectorAll("h1").length !== 1) problems.push("label: not one h1");
  let last = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(h.tagName[1]);
    if (level > last + 1) problems.push(`label: ${name(h)} follows a heading of level ${last}`);
    last = level;
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`label: the id ${id} is there twice`);
  for (const a of document.querySelectorAll('a[href^="#"]')) if (!document.getElementById(a.getAttribute("href").slice(1))) problems.push(`label: ${name(a)} leads nowhere`);
  for (const e of document.querySelectorAll("[aria-labelledby]")) if (!document.getElementById(e.getAttribute("aria-labelledby"))) problems.push(`label: ${name(e)} is named by nothing`);
  return problems;
})()
