// Puts everything into its place. Comes last.

const draw = { lines: lineChart, heat: heatChart, histogram: histogramChart, survival: survivalChart,
  sweep: sweepChart };

for (const scenario of document.querySelectorAll("[data-scenario]")) {
  const { success, charts, episodes } = data.scenarios[Number(scenario.dataset.scenario)];
  for (const dots of part.querySelectorAll(".dots")) dotChart(dots, success);
  for (const figure of part.querySelectorAll("[data-chart]")) {
    const chart = charts[Number(figure.dataset.chart)];
    draw[chart.kind](figure, chart);
  }
  for (const player of part.querySelectorAll(".player")) trajectories(player, episodes);
}

// Printing has its own widths.
addEventListener("beforeprint", redraw);
