// Formats Lua files with StyLua's WebAssembly build: node stylua.cjs FOLDER_OF_STYLUA [--write] FILE...
// The options are those of stylua.toml. Prints the names of files that are not formatted; exits 1.
const fs = require("node:fs");
const path = require("node:path");

const [folder, ...rest] = process.argv.slice(2);
const write = rest[0] === "--write";
const files = write ? rest.slice(1) : rest;
const stylua = require(path.join(folder, "stylua_lib_node.cjs"));

function options() {
  const config = stylua.Config.new();
  config.column_width = 100;
  config.indent_type = stylua.IndentType.Spaces;
  config.indent_width = 2;
  config.quote_style = stylua.QuoteStyle.AutoPreferSingle;
  return config;
}

let different = 0;
for (const file of files) {
  const text = fs.readFileSync(file, "utf8");
  const formatted = stylua.formatCode(text, options(), undefined, stylua.OutputVerification.Full);
  if (formatted !== text) {
    different += 1;
    console.log(file);
    if (write) fs.writeFileSync(file, formatted);
  }
}
process.exit(different && !write ? 1 : 0);
