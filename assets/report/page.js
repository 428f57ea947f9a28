// Draws every chart and player into its element. Must be the last script.

const draw = { line_chart: lineChart, heat_map: heatMap, histogram: histogramChart,
  survival: survivalChart, sweep: sweepChart };

for (const { episodes } of data.scenarios) decode(episodes);
for (const section of document.querySelectorAll("[data-scenario]")) {
  const { success, charts, episodes } = data.scenarios[Number(section.dataset.scenario)];
  for (const dots of section.querySelectorAll(".dots")) dotChart(dots, success);
  for (const figure of section.querySelectorAll("[data-chart]")) {
    const chart = charts[Number(figure.dataset.chart)];
    draw[chart.kind](figure, chart);
  }
  for (const player of section.querySelectorAll(".player")) trajectoryPlayer(player, episodes);
}

// A printed page has another width.
addEventListener("beforeprint", redraw);
