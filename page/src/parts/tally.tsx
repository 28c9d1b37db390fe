/** Counts of things, with bars that compare them. */
import type { Counted } from "../contract";
import { count } from "../format";
import { Bar } from "./bar";
import { t } from "../language";

export function Tally(given: {
  rows: readonly Counted[];
  name: (what: string) => string;
  href?: (what: string) => string;
}) {
  const most = Math.max(1, ...given.rows.map((row) => row.requests));
  if (given.rows.length === 0) return <p class="quiet small">{t("nothing")}</p>;
  return (
    <table class="tally">
      <tbody>
        {given.rows.map(({ what, requests }) => (
          <tr key={what}>
            <th scope="row">
              {given.href ? <a href={given.href(what)}>{given.name(what)}</a> : given.name(what)}
            </th>
            <td class="gauge">
              <Bar parts={[{ share: requests / most }]} />
            </td>
            <td class="number">{count(requests)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
