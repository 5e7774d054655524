// Events per second and stream over the last two minutes, as stacked bars, with the numbers as a
// list below them.

import { byId, element } from "./dom.js";
import { texts } from "./texts.js";

const SECONDS = 120;
/** Seconds that a rate is the mean of. */
const MEAN_OF = 5;
/** Further streams share the last colour. */
const COLOURS = 6;

export class Plot {
  #streams = new Map(); // name -> {total, bars, colour, item}; the last bar is this second

  /** Counts an event of a stream. */
  add(name) {
    let stream = this.#streams.get(name);
    if (!stream) {
      const colour = `--c${Math.min(this.#streams.size, COLOURS - 1)}`;
      const swatch = element("i");
      swatch.style.background = `var(${colour})`;
      const item = element("li", {}, swatch, name);
      stream = { total: 0, bars: new Array(SECONDS).fill(0), colour, item };
      this.#streams.set(name, stream);
      byId("legend").append(item);
    }
    stream.total += 1;
    stream.bars[SECONDS - 1] += 1;
  }

  clear() {
    this.#streams.clear();
    byId("legend").replaceChildren();
  }

  /** Draws, and begins the next second. Returns `{total, rate}` of all streams. */
  tick() {
    this.#draw();
    const all = { total: 0, rate: 0 };
    for (const [name, { bars, total, item }] of this.#streams) {
      const rate = bars.slice(-MEAN_OF).reduce((sum, n) => sum + n) / MEAN_OF;
      item.lastChild.data = texts.legend(name, rate, total);
      all.total += total;
      all.rate += rate;
      bars.push(0);
      bars.shift();
    }
    return all;
  }

  #draw() {
    const canvas = byId("canvas");
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    const pen = canvas.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(canvas);
    const streams = [...this.#streams.values()];
    const sums = Array.from({ length: SECONDS }, (_, at) =>
      streams.reduce((sum, { bars }) => sum + bars[at], 0));
    const highest = Math.max(1, ...sums);
    const step = width / SECONDS;
    const tops = new Array(SECONDS).fill(height);
    for (const { bars, colour } of streams) {
      pen.fillStyle = style.getPropertyValue(colour);
      bars.forEach((n, at) => {
        const size = (n / highest) * (height - 14);
        tops[at] -= size;
        pen.fillRect(at * step, tops[at], step - 1, size);
      });
    }
    pen.fillStyle = style.color;
    pen.font = `11px ${style.fontFamily}`;
    pen.fillText(`${highest}/s`, 0, 10);
  }
}
