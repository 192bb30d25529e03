// Shows the image with what Python draws over it, and tells Python where it was clicked.
// A drag gives a box; shift turns a click into its opposite. Keys: arrows move the cross, Enter
// clicks there, U takes back, R starts again.

const DRAG = 5; // display pixels: a shorter one is a click
const STEP = 0.02; // of the image, an arrow key

function node(tag, className, parent, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent.append(made);
  return made;
}

function render({ model, el }) {
  const root = node("div", "xaiutils-click", el, { style: `font-family: ${model.get("font")}` });
  const stage = node("div", "stage", root, {
    tabindex: "0",
    role: "application",
    "aria-roledescription": "image to click on",
  });
  const photo = node("img", "photo", stage, { draggable: "false" });
  const overlay = node("div", "overlay", stage);
  const band = node("div", "band", stage, { hidden: "" });
  const cross = node("div", "cross", stage, { hidden: "" });
  const panel = node("div", "panel", root);
  const status = node("div", "status", panel, { role: "status" });
  const curve = node("div", "curve", panel);
  const bar = node("div", "bar", panel);
  const side = node("button", "side", bar, { title: "which side a click marks; shift: the other" });
  const undo = node("button", "undo", bar, { title: "take the last click or box back (U)" });
  const reset = node("button", "reset", bar, { title: "start again (R)" });
  const help = node("p", "help", panel);
  undo.textContent = "undo";
  reset.textContent = "reset";
  help.textContent =
    "Click: on the object. Shift-click: not the object. Drag: a box around it. " +
    "Keys: arrows and Enter, U, R.";
  stage.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves our keys alone

  // image pixels, whose centres are at whole numbers, of a place in the window
  const pixel = (event) => {
    const frame = stage.getBoundingClientRect();
    const [across, down] = [event.clientX - frame.left, event.clientY - frame.top];
    return {
      x: (across / frame.width) * model.get("width") - 0.5,
      y: (down / frame.height) * model.get("height") - 0.5,
      across,
      down,
    };
  };
  const label = (event) => (event.shiftKey ? 1 - model.get("side") : model.get("side"));
  const click = (at, event) => model.send({ kind: "click", x: at.x, y: at.y, label: label(event) });

  let start = null;
  const far = (at) => Math.hypot(at.across - start.across, at.down - start.down) > DRAG;
  const drop = () => {
    start = null;
    band.hidden = true;
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault(); // no text is selected
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    cross.hidden = true;
    start = pixel(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!start) return;
    const at = pixel(event);
    band.hidden = !far(at);
    band.style.left = `${Math.min(at.across, start.across)}px`;
    band.style.top = `${Math.min(at.down, start.down)}px`;
    band.style.width = `${Math.abs(at.across - start.across)}px`;
    band.style.height = `${Math.abs(at.down - start.down)}px`;
  });
  stage.addEventListener("pointerup", (event) => {
    if (!start) return;
    const at = pixel(event);
    if (far(at)) model.send({ kind: "box", x0: start.x, y0: start.y, x1: at.x, y1: at.y });
    else click(start, event);
    drop();
  });
  stage.addEventListener("pointercancel", drop);

  const spot = { x: 0.5, y: 0.5 }; // of the image, where the keys click
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (moves[key]) {
      spot.x = Math.min(Math.max(spot.x + STEP * moves[key][0], 0), 1);
      spot.y = Math.min(Math.max(spot.y + STEP * moves[key][1], 0), 1);
      cross.style.left = `${100 * spot.x}%`;
      cross.style.top = `${100 * spot.y}%`;
      cross.hidden = false;
    } else if (key === "Enter") {
      const at = { x: spot.x * model.get("width") - 0.5, y: spot.y * model.get("height") - 0.5 };
      click(at, event);
    } else if (key === "u") model.send({ kind: "undo" });
    else if (key === "r") model.send({ kind: "reset" });
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  undo.addEventListener("click", () => model.send({ kind: "undo" }));
  reset.addEventListener("click", () => model.send({ kind: "reset" }));
  side.addEventListener("click", () => {
    model.set("side", 1 - model.get("side"));
    model.save_changes();
  });

  const shows = {
    photo: () => (photo.src = model.get("photo")),
    overlay: () => (overlay.innerHTML = model.get("overlay")),
    curve: () => (curve.innerHTML = model.get("curve")),
    status: () => (status.textContent = model.get("status")),
    alt: () => {
      photo.alt = model.get("alt");
      stage.setAttribute("aria-label", model.get("alt"));
    },
    side: () => {
      const on = model.get("side") === 1;
      side.textContent = on ? "marking: object" : "marking: not the object";
      side.setAttribute("aria-pressed", String(!on));
    },
  };
  for (const [name, show] of Object.entries(shows)) {
    show();
    model.on(`change:${name}`, show);
  }
  return () => {
    for (const [name, show] of Object.entries(shows)) model.off(`change:${name}`, show);
  };
}

export default { render };
