/** Keys and budgets: made, changed and ended, each after a question. */
import { getBudgets, getKeys, getLevels } from "../api";
import { t } from "../language";
import { BudgetList } from "../parts/budgetlist";
import { KeyList } from "../parts/keylist";
import { useLoaded } from "../parts/loaded";
import { Failed, Waiting } from "../parts/said";

export function KeysView() {
  const keys = useLoaded((signal) => getKeys(signal), []);
  const budgets = useLoaded((signal) => getBudgets(signal), []);
  const levels = useLoaded((signal) => getLevels(signal), [], { live: true });
  return (
    <>
      <div class="head">
        <div>
          <h1>{t("keys")}</h1>
          <p>{t("keys.about")}</p>
        </div>
      </div>
      <Failed error={keys.error} again={keys.again} />
      {keys.data ? <KeyList keys={keys.data.keys} changed={keys.again} /> : !keys.error && <Waiting />}
      <Failed error={budgets.error ?? levels.error} again={budgets.again} />
      {budgets.data && (
        <BudgetList
          budgets={budgets.data.budgets}
          levels={levels.data}
          changed={() => {
            budgets.again();
            levels.again();
          }}
        />
      )}
    </>
  );
}
