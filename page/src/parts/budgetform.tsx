/** A budget to be filled in; what the form does not show stays as it was. */
import { useState } from "preact/hooks";
import type { Budget } from "../api";
import { named, t } from "../language";
import { Dialog, Select } from "./controls";

const UNITS = ["money", "tokens", "requests"] as const;
const WINDOWS = ["minute", "hour", "day", "week", "month", "total"] as const;
const SCOPES = ["org", "team", "user", "key", "route", "model"] as const;
const DOES = ["warn", "refuse", "rate", "policy", "model", "compressor"] as const;
type Does = (typeof DOES)[number];

interface Step {
  share: number;
  does: Does;
  value: string;
  /** What a step says beside the one thing that can be edited here. */
  rest: Record<string, unknown>;
}

export const NEW_BUDGET: Budget = {
  name: "",
  match: {},
  each: null,
  window: "month",
  time_zone: "UTC",
  unit: "money",
  limit: 10,
  at: { "100%": { do: "refuse" } },
};

export function BudgetForm(given: {
  budget: Budget;
  fresh: boolean;
  close: () => void;
  next: (budget: Budget) => void;
}) {
  const [budget, set] = useState(given.budget);
  const [steps, setSteps] = useState(() => stepsOf(given.budget));
  const change = (part: Partial<Budget>) => set({ ...budget, ...part });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    given.next({ ...budget, at: declared(steps) });
  };
  return (
    <Dialog title={given.fresh ? t("budgets.new") : t("budgets.edit.named", { name: budget.name })} close={given.close}>
      <form onSubmit={submit}>
        {given.fresh && (
          <label class="field">
            {t("name")}
            <input required value={budget.name} onInput={(event) => change({ name: event.currentTarget.value })} />
          </label>
        )}
        <div class="fields">
          <label class="field">
            {t(budget.unit === "money" ? "limit.dollars" : "limit")}
            <input
              type="number"
              required
              min={0}
              step={budget.unit === "money" ? "any" : 1}
              value={budget.limit}
              onInput={(event) => change({ limit: event.currentTarget.value })}
            />
          </label>
          <Select
            label={t("unit")}
            value={budget.unit}
            choices={UNITS.map((value) => ({ value, label: named("unit", value) }))}
            choose={(value) => change({ unit: value as Budget["unit"] })}
          />
          <Select
            label={t("window")}
            value={budget.window}
            choices={WINDOWS.map((value) => ({ value, label: named("window", value) }))}
            choose={(window) => change({ window })}
          />
          <Select
            label={t("budgets.each.label")}
            value={budget.each ?? ""}
            choices={[
              { value: "", label: t("budgets.each.none") },
              ...SCOPES.map((value) => ({ value, label: named("by", value) })),
            ]}
            choose={(each) => change({ each: each || null })}
          />
        </div>
        <fieldset>
          <legend>{t("budgets.for")}</legend>
          <div class="fields">
            {SCOPES.map((scope) => (
              <label class="field" key={scope}>
                {named("by", scope)}
                <input
                  value={budget.match[scope] ?? ""}
                  placeholder={t("budgets.any")}
                  onInput={(event) =>
                    change({ match: { ...budget.match, [scope]: event.currentTarget.value || null } })
                  }
                />
              </label>
            ))}
          </div>
        </fieldset>
        <Steps steps={steps} change={setSteps} />
        <div class="row">
          <button type="button" onClick={given.close}>
            {t("cancel")}
          </button>
          <button type="submit" class="main">
            {t("continue")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Steps({ steps, change }: { steps: readonly Step[]; change: (steps: Step[]) => void }) {
  const edit = (index: number, part: Partial<Step>) =>
    change(steps.map((each, at) => (at === index ? { ...each, ...part } : each)));
  return (
    <fieldset>
      <legend>{t("steps")}</legend>
      {steps.map((step, index) => (
        <div class="step" key={index}>
          <label class="field">
            {t("step.share")}
            <input
              type="number"
              min={0}
              max={999}
              step="any"
              required
              value={step.share}
              onInput={(event) => edit(index, { share: event.currentTarget.valueAsNumber || 0 })}
            />
          </label>
          <Select
            label={t("step.does")}
            value={step.does}
            choices={DOES.map((value) => ({ value, label: named("does", value) }))}
            choose={(value) => edit(index, { does: value as Does, value: "", rest: {} })}
          />
          {step.does !== "warn" && step.does !== "refuse" && (
            <label class="field">
              {named("does.value", step.does)}
              <input
                required
                value={step.value}
                onInput={(event) => edit(index, { value: event.currentTarget.value })}
              />
            </label>
          )}
          <button
            type="button"
            class="bare"
            aria-label={t("step.remove", { share: step.share })}
            onClick={() => change(steps.filter((_, at) => at !== index))}
          >
            ×
          </button>
        </div>
      ))}
      <div>
        <button type="button" onClick={() => change([...steps, { share: 80, does: "warn", value: "", rest: {} }])}>
          {t("step.add")}
        </button>
      </div>
    </fieldset>
  );
}

function stepsOf(budget: Budget): Step[] {
  return Object.entries(budget.at).map(([share, said]) => {
    const step = (typeof said === "string" ? { do: said } : { ...(said as object) }) as Record<string, unknown>;
    const set = DOES.find((does) => step[does] !== undefined && step[does] !== null);
    const does = step.do === "warn" || step.do === "refuse" ? step.do : (set ?? "warn");
    const { [does]: value, do: _, ...rest } = step;
    return {
      share: Number.parseFloat(share),
      does,
      value: value === undefined || value === null ? "" : String(value),
      rest: Object.fromEntries(Object.entries(rest).filter(([, each]) => each !== null)),
    };
  });
}

function declared(steps: readonly Step[]): Record<string, unknown> {
  const sorted = [...steps].sort((a, b) => a.share - b.share);
  return Object.fromEntries(
    sorted.map(({ share, does, value, rest }) => [
      `${share}%`,
      does === "warn" || does === "refuse"
        ? { do: does }
        : { ...rest, [does]: does === "rate" ? Number(value) : value },
    ]),
  );
}
