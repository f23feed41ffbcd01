export * from "echarts/core";
import { use } from "echarts/core";
import { BarChart, CustomChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent, DataZoomInsideComponent, GridComponent, LegendPlainComponent, ParallelComponent, TitleComponent, ToolboxComponent,
} from "echarts/components";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";

use([
  AriaComponent, BarChart, CanvasRenderer, CustomChart, DataZoomInsideComponent, GridComponent, LegendPlainComponent,
  LineChart, ParallelChart, ParallelComponent, ScatterChart, SVGRenderer, TitleComponent, ToolboxComponent,
]);
