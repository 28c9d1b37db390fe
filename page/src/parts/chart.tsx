/** A line chart over time, and the same numbers as a table for those who cannot see it. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { language, t } from "../language";
import { moment } from "../format";
import { isDark } from "../theme";

export interface Series {
  label: string;
  values: readonly (number | null)[];
}

interface Given {
  title: string;
  /** Seconds since 1970, rising. */
  at: readonly number[];
  series: readonly Series[];
  /** How a value is written. */
  write: (value: number) => string;
  /** How long the whole axis is, in seconds: decides whether times or dates stand on it. */
  seconds: number;
}

const HEIGHT = 210;

export function Chart(given: Given) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = isDark();
  const names = given.series.map((each) => each.label).join("\n");
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(options(given, element.clientWidth), columns(given), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark, language.value, names, given.seconds, given.write]);
  useEffect(() => plot.current?.setData(columns(given)), [given.at, given.series]);
  return (
    <figure class="sheet">
      <figcaption class="row spread">
        <h2>{given.title}</h2>
        <span class="legend">
          {given.series.map((each, index) => (
            <span key={each.label} class={`s${index}`}>
              {each.label}
            </span>
          ))}
        </span>
      </figcaption>
      <div class="chart" ref={box} aria-hidden="true" />
      <details>
        <summary>{t("chart.table")}</summary>
        <Numbers {...given} />
      </details>
    </figure>
  );
}

function Numbers({ at, series, write, title }: Given) {
  return (
    <div class="scroll fold" tabIndex={0} role="region" aria-label={title}>
      <table>
        <thead>
          <tr>
            <th>{t("time")}</th>
            {series.map((each) => (
              <th key={each.label} class="number">
                {each.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {at.map((when, index) => (
            <tr key={when}>
              <td>{moment(when)}</td>
              {series.map((each) => {
                const value = each.values[index];
                return (
                  <td key={each.label} class="number">
                    {value === null || value === undefined ? "" : write(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function columns({ at, series }: Given): uPlot.AlignedData {
  return [[...at], ...series.map((each) => [...each.values])];
}

function options(given: Given, width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = {
    stroke: colour("--ink-2"),
    font,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const days = given.seconds > 2 * 86_400;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 4, 0, 0],
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, low, high) => range(low, high) } },
    axes: [
      {
        ...axis,
        size: 28,
        space: 80,
        values: (_, times) =>
          times.map((at) =>
            new Intl.DateTimeFormat(
              language.value,
              days ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
            ).format(at * 1000),
          ),
      },
      { ...axis, size: 62, gap: 6, values: (_, values) => values.map((each) => given.write(each)) },
    ],
    series: [
      {},
      ...given.series.map((each, index) => ({
        label: each.label,
        stroke: colour(`--series-${index + 1}`),
        width: 1.75,
        fill: index === 0 ? `${colour("--series-1")}1a` : undefined,
        points: { show: given.at.length < 3 },
        spanGaps: false,
      })),
    ],
  };
}

/** From nought up, or from what was lost. */
function range(low: number | null, high: number | null): [number, number] {
  const top = Math.max(0, high ?? 0);
  const bottom = Math.min(0, low ?? 0);
  return top === bottom ? [0, 1] : [bottom * 1.08, top * 1.08];
}
