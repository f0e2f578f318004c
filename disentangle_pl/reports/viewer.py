"""The look and the script of volumes to scroll through: three planes are drawn from one picture of all axial slices.

Without the script those pictures are shown as they are.
"""

VIEWER_STYLE = """.planes{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:1rem}
.plane{position:relative;background:#000;border-radius:.3rem;overflow:hidden}
.plane canvas{display:block;width:100%;cursor:crosshair;touch-action:manipulation}
.plane canvas:focus-visible{outline:3px solid var(--heat);outline-offset:-3px}
.plane b{position:absolute;color:#ffcc33;font-size:1.05rem;line-height:1;text-shadow:0 0 3px #000,0 0 3px #000;
pointer-events:none}.plane .left{left:.35rem;top:50%;transform:translateY(-50%)}
.plane .right{right:.35rem;top:50%;transform:translateY(-50%)}
.plane .above{top:.3rem;left:50%;transform:translateX(-50%)}
.plane .below{bottom:.3rem;left:50%;transform:translateX(-50%)}
.plane i{position:absolute;pointer-events:none;background:#6fb3f2;opacity:.55}.plane .v{top:0;bottom:0;width:1px}
.plane .h{left:0;right:0;height:1px}.volumes label{display:block;font-size:.88rem;margin:.35rem 0}
.volumes input{display:block;width:100%;margin:.2rem 0;accent-color:var(--heat);min-height:1.6rem}
.volumes select{font:inherit;max-width:100%;padding:.25rem;margin:0 0 .3rem}.stacks img{width:min(100%,520px)}
.charts .volumes{grid-column:1/-1}
"""
VIEWER_SCRIPT = """
const stops = [[5, 48, 97], [67, 147, 195], [247, 247, 247], [214, 96, 77], [103, 0, 31]];
const colour = grey => {
  const place = grey / 255 * 4, at = Math.min(3, Math.floor(place));
  return stops[at].map((end, i) => end + (place - at) * (stops[at + 1][i] - end));
};
const made = (tag, css, ...inside) => {
  const element = document.createElement(tag);
  element.className = css;
  element.append(...inside);
  return element;
};
for (const figure of document.querySelectorAll("figure.volumes")) {
  const numbers = text => text.split(" ").map(Number);
  const shape = numbers(figure.dataset.shape), origin = numbers(figure.dataset.origin);
  const across = Number(figure.dataset.across), spacing = Number(figure.dataset.spacing);
  const images = [...figure.querySelectorAll(".stacks img")], voxels = new Map();
  const at = shape.map(size => Math.floor(size / 2));
  const load = async image => {
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(image, 0, 0);
    voxels.set(image, context.getImageData(0, 0, canvas.width, canvas.height).data);
  };
  const select = made("select", ""), groups = new Map();
  images.forEach((image, i) => {
    const {group, name} = image.dataset;
    if (!groups.has(group)) {
      groups.set(group, made("optgroup", ""));
      groups.get(group).label = group;
      select.append(groups.get(group));
    }
    const option = made("option", "", `${group}: ${name}`);
    option.value = i;
    groups.get(group).append(option);
  });
  const planes = [["axial", 2, 0, 1, "LRAP"], ["coronal", 1, 0, 2, "LRSI"], ["sagittal", 0, 1, 2, "PASI"]].map(
    ([name, axis, right, up, letters]) => {
      const canvas = made("canvas", ""), slider = made("input", ""), output = made("output", "");
      const [vertical, horizontal] = [made("i", "v"), made("i", "h")];
      [canvas.width, canvas.height, canvas.tabIndex] = [shape[right], shape[up], 0];
      canvas.setAttribute("role", "img");
      Object.assign(slider, {type: "range", min: 0, max: shape[axis] - 1, step: 1});
      const sides = ["left", "right", "above", "below"].map((css, i) => made("b", css, letters[i]));
      const frame = made("div", "plane", canvas, vertical, horizontal, ...sides);
      const move = by => {
        at[axis] = Math.max(0, Math.min(shape[axis] - 1, at[axis] + by));
        draw();
      };
      slider.addEventListener("input", () => { at[axis] = Number(slider.value); draw(); });
      canvas.addEventListener("pointerdown", event => {
        const box = canvas.getBoundingClientRect();
        const place = (part, size) => Math.max(0, Math.min(size - 1, Math.floor(part * size)));
        at[right] = place((event.clientX - box.left) / box.width, shape[right]);
        at[up] = shape[up] - 1 - place((event.clientY - box.top) / box.height, shape[up]);
        draw();
      });
      canvas.addEventListener("keydown", event => {
        const steps = {ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5};
        if (event.key in steps) {
          event.preventDefault();
          move(steps[event.key]);
        }
      });
      canvas.addEventListener("wheel", event => {
        if (document.activeElement === canvas) {
          event.preventDefault();
          move(event.deltaY < 0 ? 1 : -1);
        }
      }, {passive: false});
      return {name, axis, right, up, canvas, slider, output, vertical, horizontal, frame};
    });
  const draw = () => {
    const image = images[Number(select.value)], data = voxels.get(image);
    if (!data) {
      load(image).then(draw);
      return;
    }
    const [X, Y] = shape, wide = across * X;
    for (const {name, axis, right, up, canvas, slider, output, vertical, horizontal} of planes) {
      const context = canvas.getContext("2d", {willReadFrequently: true});
      const picture = context.createImageData(canvas.width, canvas.height);
      const voxel = [...at];
      for (let row = 0, k = 0; row < canvas.height; row++) {
        voxel[up] = canvas.height - 1 - row;
        for (let column = 0; column < canvas.width; column++, k += 4) {
          voxel[right] = column;
          const [x, y, z] = voxel;
          const value = data[4 * ((Math.floor(z / across) * Y + Y - 1 - y) * wide + z % across * X + x)];
          picture.data.set(image.dataset.signed ? colour(value) : [value, value, value], k);
          picture.data[k + 3] = 255;
        }
      }
      context.putImageData(picture, 0, 0);
      const where = Math.round(origin[axis] + spacing * at[axis]);
      const words = `${"xyz"[axis]} = ${where < 0 ? "\\u2212" : where ? "+" : ""}${Math.abs(where)} mm`;
      slider.value = at[axis];
      slider.setAttribute("aria-valuetext", words);
      output.value = words;
      canvas.setAttribute("aria-label", `${name} plane at ${words}`);
      vertical.style.left = `${100 * (at[right] + 0.5) / shape[right]}%`;
      horizontal.style.top = `${100 * (shape[up] - at[up] - 0.5) / shape[up]}%`;
    }
  };
  select.addEventListener("change", draw);
  const body = planes.map(({name, slider, output, frame}) => {
    const label = made("label", "", `${name}, `, output, slider);
    return made("div", "", frame, label);
  });
  figure.querySelector(".stacks").hidden = true;
  figure.prepend(made("label", "", "Volume ", select), made("div", "planes", ...body));
  draw();
}
"""
