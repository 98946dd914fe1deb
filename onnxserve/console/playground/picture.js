// What a prediction says of a picture, drawn over it: boxes of objects, and masks by label.

const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#0072b2', '#d55e00', '#cc79a7']; // M. Okabe, K. Ito, 2008
const TEXT = '#000'; // on each of the colours
const LEAST = 320; // pixels of the longer side: lines and names need some
const COVER = 0.45; // how much of the picture a mask hides

export const colour = (number) => COLOURS[Math.max(0, number) % COLOURS.length];

// Returns a canvas of the picture with what the prediction has; null if it has neither boxes nor masks.
export async function drawn(image, prediction, labels) {
  const { objects, masks, png, shares } = prediction || {};
  if (!Array.isArray(objects) && !masks && !png) return null;
  const { naturalWidth, naturalHeight } = image, scale = Math.max(1, Math.ceil(LEAST / Math.max(naturalWidth, naturalHeight)));
  const canvas = Object.assign(document.createElement('canvas'), { width: naturalWidth * scale, height: naturalHeight * scale });
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = COVER;
  for (const [name, mask] of Object.entries(masks || {})) context.drawImage(layer(mask, colour(labels.indexOf(name))), 0, 0, canvas.width, canvas.height);
  if (png) context.drawImage(await coloured(png), 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
  for (const object of objects || []) outline(context, object, colour(labels.indexOf(object.label)), scale);
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', description(objects, shares));
  return canvas;
}

function description(objects, shares) {
  if (!objects) return Object.entries(shares || {}).map(([name, share]) => `${name} ${(100 * share).toFixed(1)} %`).join(', ');
  return objects.map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(', ') || 'no object';
}

function outline(context, { label, score, box }, ink, scale) {
  const [left, top, right, bottom] = box.map((place) => place * scale);
  const unit = Math.max(context.canvas.width, context.canvas.height) / 160;
  Object.assign(context, { strokeStyle: ink, fillStyle: ink, lineWidth: unit, font: `${7 * unit}px system-ui, sans-serif` });
  context.strokeRect(left, top, right - left, bottom - top);
  const text = `${label} ${score.toFixed(2)}`, bottomOfText = Math.max(8 * unit, top);
  context.fillRect(left - unit / 2, bottomOfText - 8 * unit, context.measureText(text).width + 2 * unit, 8 * unit);
  context.fillStyle = TEXT;
  context.fillText(text, left + unit / 2, bottomOfText - 2 * unit);
}

// Run lengths go down the columns, and begin with the pixels that aren't in the mask.
function layer({ size: [height, width], counts }, ink) {
  const canvas = new OffscreenCanvas(width, height), brush = canvas.getContext('2d');
  brush.fillStyle = ink;
  let at = 0;
  for (const [index, count] of counts.entries()) {
    for (const end = at + count; at < end;) {
      const row = at % height, length = Math.min(height - row, end - at);
      if (index % 2) brush.fillRect(Math.floor(at / height), row, 1, length);
      at += length;
    }
  }
  return canvas;
}

// A PNG of label numbers, each number in its colour.
async function coloured(png) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), brush = canvas.getContext('2d');
  brush.drawImage(image, 0, 0);
  const pixels = brush.getImageData(0, 0, image.width, image.height), { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    const ink = parseInt(colour(data[at]).slice(1), 16);
    data.set([ink >> 16, (ink >> 8) & 255, ink & 255, 255], at);
  }
  brush.putImageData(pixels, 0, 0);
  return canvas;
}
