// Bundles the parts of ECharts and Tabulator that the page uses, with their licences, into the package.
import { readFileSync, writeFileSync } from "node:fs";
import { buildSync } from "esbuild";

const to = "../../iafsweep/report/assets/libraries/";
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version;
const banner = {
  echarts: `/* Apache ECharts ${version("echarts")}, Apache License 2.0; zrender ${version("zrender")}, BSD 3-Clause */`,
  tabulator: `/* Tabulator ${version("tabulator-tables")}, (c) Oli Folkerd, MIT License */`,
};
for (const name of ["echarts", "tabulator"]) {
  buildSync({
    entryPoints: [`${name}.js`], outfile: `${to}${name}.js`, bundle: true, minify: true, format: "iife", globalName: name,
    banner: { js: banner[name] }, legalComments: "none", charset: "utf8",
  });
}
buildSync({
  entryPoints: ["node_modules/tabulator-tables/dist/css/tabulator_simple.css"], outfile: `${to}tabulator.css`, minify: true,
  banner: { css: banner.tabulator },
});
const licences = [["Apache ECharts", "echarts/LICENSE"], ["Apache ECharts, notice", "echarts/NOTICE"], ["zrender", "zrender/LICENSE"],
  ["tslib", "tslib/LICENSE.txt"], ["Tabulator", "tabulator-tables/LICENSE"]];
const texts = licences.map(([name, file]) => `==== ${name} ====\n\n${readFileSync(`node_modules/${file}`, "utf8").trim()}\n`);
writeFileSync(`${to}LICENSES.txt`, texts.join("\n"));
