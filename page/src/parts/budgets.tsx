/** Budgets as bars: spent, held for requests under way, and where it leads by the window's end. */
import type { BudgetLevel, Levels } from "../contract";
import { count, money, percent, when } from "../format";
import { named, t } from "../language";
import { Bar } from "./bar";
import { Empty } from "./said";

export function Budgets({ levels }: { levels: Levels }) {
  if (levels.store_down) return <p class="note warn">{t("budgets.down")}</p>;
  if (levels.levels.length === 0)
    return (
      <Empty title={t("budgets.none")}>
        <p>{t("budgets.none.next")}</p>
      </Empty>
    );
  return (
    <ul class="budgets" data-testid="levels">
      {levels.levels.map((level) => (
        <li key={`${level.budget} ${level.org} ${level.subject}`}>
          <Level level={level} />
        </li>
      ))}
    </ul>
  );
}

function Level({ level }: { level: BudgetLevel }) {
  const write = (value: number) => (level.unit === "money" ? money(value) : count(value));
  const used = level.limit ? level.spent / level.limit : 0;
  const ahead = level.projected === null || !level.limit ? used : level.projected / level.limit;
  const look = used >= 1 ? "full" : ahead > 1 ? "warn" : "";
  return (
    <div class="level">
      <div class="row spread">
        <span>
          <strong>{level.budget}</strong>
          {level.subject !== null && <span class="quiet"> · {level.subject || t("none")}</span>}
          {level.org !== "default" && <span class="quiet"> · {level.org}</span>}
          {level.step && <span class={`tag ${look === "full" ? "cut" : "warn"} after`}>{t("budgets.step", { step: level.step })}</span>}
        </span>
        <span class="number">
          {write(level.spent)} <span class="quiet">{t("of", { whole: write(level.limit) })} · {percent(used, 1)}</span>
        </span>
      </div>
      <Bar
        look={look}
        parts={[
          { share: ahead, look: "ahead" },
          { share: used + (level.limit ? level.reserved / level.limit : 0), look: "held" },
          { share: used },
        ]}
      />
      <div class="row spread small quiet">
        <span>
          {named("unit", level.unit)} · {named("window.each", level.window)}
          {level.steps.length > 0 && ` · ${level.steps.join(", ")}`}
        </span>
        <span>
          {level.reserved > 0 && `${t("budgets.reserved", { value: write(level.reserved) })} · `}
          {level.projected === null
            ? level.ends_ms === null
              ? t("budgets.endless")
              : t("budgets.early", { when: when(level.ends_ms) })
            : t("budgets.projected", { value: write(level.projected), when: when(level.ends_ms) })}
        </span>
      </div>
    </div>
  );
}
