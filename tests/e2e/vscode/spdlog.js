// Writes VS Code's log files without the compiled module of the same name, so that no compiler is
// needed. Only what VS Code calls; files are not rotated.
const fs = require('node:fs');
const path = require('node:path');

const LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical'];

class Logger {
  constructor(kind, name, file) {
    this.file = file;
    this.level = 0;
    this.bare = false;
    LEVELS.forEach((name, level) => {
      this[name === 'warning' ? 'warn' : name] = (text) => this.write(level, name, text);
    });
  }

  write(level, name, text) {
    if (level >= this.level) {
      fs.appendFileSync(
        this.file,
        this.bare ? text : `${new Date().toISOString()} [${name}] ${text}\n`,
      );
    }
  }

  setLevel(level) {
    this.level = level;
  }

  clearFormatters() {
    this.bare = true;
  }

  setPattern() {}
  flush() {}
  drop() {}
}

async function create(name, file) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  return new Logger('rotating', name, file);
}

// one by one: only so are they found when VS Code imports this as an ES module
exports.Logger = Logger;
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
exports.setLevel = () => {};
exports.setFlushOn = () => {};
