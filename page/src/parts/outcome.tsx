/** What became of a request, as a coloured word. */
import type { RequestRow } from "../contract";
import { named } from "../language";

const LOOKS: Record<RequestRow["outcome"], string> = {
  shortened: "good",
  untouched: "",
  "failed open": "warn",
  refused: "cut",
  "upstream error": "cut",
  "broken off": "cut",
  "client gone": "warn",
};

export function Outcome({ row }: { row: RequestRow }) {
  return (
    <span class={`tag ${LOOKS[row.outcome]}`} title={row.reason || undefined}>
      {named("outcome", row.outcome)}
      {row.outcome === "upstream error" && row.status !== null && ` ${row.status}`}
    </span>
  );
}
