import {
  FilterModule, FormatModule, FrozenColumnsModule, GroupRowsModule, InteractionModule, MoveColumnsModule,
  ResizeColumnsModule, ResizeTableModule, SortModule, Tabulator,
} from "tabulator-tables";

Tabulator.registerModule([
  FilterModule, FormatModule, FrozenColumnsModule, GroupRowsModule, InteractionModule, MoveColumnsModule,
  ResizeColumnsModule, ResizeTableModule, SortModule,
]);
export { Tabulator };
