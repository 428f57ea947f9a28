// Puts everything into its place. Comes last.

for (const part of document.querySelectorAll("[data-part]")) {
  const { success, charts, episodes } = data.parts[Number(part.dataset.part)];
  for (const dots of part.querySelectorAll(".dots")) dotChart(dots, success);
  for (const figure of part.querySelectorAll("[data-chart]")) {
    lineChart(figure, charts[Number(figure.dataset.chart)]);
  }
  for (const player of part.querySelectorAll(".player")) trajectories(player, episodes);
}

// Printing has its own widths.
addEventListener("beforeprint", redraw);
