"""The page's charts as one picture, drawn by the browser."""

from typing import Final

PNG: Final = """
(() => {
  const panels = [...document.querySelectorAll('section.panel')].filter(p => p.querySelector('canvas'));
  const scale = 2, gap = 16, columns = 2, width = 640, height = 320;
  const canvas = document.createElement('canvas');
  canvas.width = scale * (columns * (width + gap) + gap);
  canvas.height = scale * (Math.ceil(panels.length / columns) * (height + gap) + gap);
  const pen = canvas.getContext('2d'), style = getComputedStyle(document.body);
  pen.scale(scale, scale);
  pen.fillStyle = style.backgroundColor; pen.fillRect(0, 0, canvas.width, canvas.height);
  panels.forEach((panel, i) => {
    const x = gap + (i % columns) * (width + gap), y = gap + Math.floor(i / columns) * (height + gap);
    pen.fillStyle = style.color; pen.font = '600 14px system-ui';
    pen.fillText(panel.getAttribute('aria-label') || '', x, y + 14);
    panel.querySelectorAll('canvas').forEach(c => {
      const fit = Math.min(width / c.width, (height - 24) / c.height);
      pen.drawImage(c, x, y + 24, c.width * fit, c.height * fit);
    });
  });
  const link = document.createElement('a');
  link.href = canvas.toDataURL('image/png'); link.download = 'bandit_runner.png'; link.click();
})()
"""
