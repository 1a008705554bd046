-- The options of `setup`, their defaults and their checks, and the switches that are asked at each
-- key: a buffer's, a file type's and the global one.
local M = {}

---@class umbrella.Keymap
---@field accept? string|false
---@field accept_word? string|false
---@field accept_line? string|false
---@field next? string|false
---@field prev? string|false
---@field dismiss? string|false
---@field trigger? string|false

---@class umbrella.Config
---@field cmd? string[] the server and its arguments; nil: `umbrella-lsp` from $PATH or ~/.local/bin
---@field trigger 'auto'|'manual' ask at each key, or only when told to
---@field filetypes table<string, boolean> '*' stands for those that are not named
---@field should_attach? fun(bufnr: integer): boolean whether the server may see a buffer at all
---@field hide_with_menu boolean show nothing while a completion menu is open
---@field keymap boolean|umbrella.Keymap false: no keys; true: the preset; a table: those in it
---@field settings table what the server calls its section `umbrella`

---@class umbrella.Options
---@field cmd? string[]
---@field trigger? 'auto'|'manual'
---@field filetypes? table<string, boolean>
---@field should_attach? fun(bufnr: integer): boolean
---@field hide_with_menu? boolean
---@field keymap? boolean|umbrella.Keymap
---@field settings? table

---@type umbrella.Config
local defaults = {
  cmd = nil,
  trigger = 'auto',
  filetypes = { ['*'] = true },
  should_attach = nil,
  hide_with_menu = true,
  keymap = false,
  settings = {},
}

---@type umbrella.Keymap
M.preset = {
  accept = '<Tab>',
  accept_word = '<M-Right>',
  accept_line = '<M-C-Right>',
  next = '<M-]>',
  prev = '<M-[>',
  dismiss = '<C-]>',
  trigger = '<M-\\>',
}

---@type table<string, string[]>
local types = {
  cmd = { 'table' },
  trigger = { 'string' },
  filetypes = { 'table' },
  should_attach = { 'function' },
  hide_with_menu = { 'boolean' },
  keymap = { 'boolean', 'table' },
  settings = { 'table' },
}

---@type umbrella.Config
M.options = vim.deepcopy(defaults)

---@param known table<string, any>
---@return string
local function names(known)
  local keys = vim.tbl_keys(known)
  table.sort(keys)
  return table.concat(keys, ', ')
end

---@param problem string
local function refuse(problem)
  error('umbrella: setup: ' .. problem, 0)
end

---@param key string
---@param value any
local function check_type(key, value)
  local accepted = types[key]
  if not accepted then
    refuse(('there is no option `%s`; there are: %s'):format(key, names(types)))
  end
  if not vim.list_contains(accepted, type(value)) then
    local wanted = table.concat(accepted, ' or ')
    refuse(('`%s` has to be a %s, not %s'):format(key, wanted, vim.inspect(value)))
  end
end

---@param options umbrella.Options
local function check(options)
  for key, value in pairs(options) do
    check_type(key, value)
  end
  if options.trigger and options.trigger ~= 'auto' and options.trigger ~= 'manual' then
    refuse(("`trigger` is 'auto' or 'manual', not '%s'"):format(options.trigger))
  end
  for action in pairs(type(options.keymap) == 'table' and options.keymap or {}) do
    if M.preset[action] == nil then
      refuse(('`keymap` has no `%s`; it has: %s'):format(action, names(M.preset)))
    end
  end
end

--- Take options over the defaults; raises an error that names what cannot be used.
---@param options? umbrella.Options
---@return umbrella.Config
function M.set(options)
  options = options or {}
  check(options)
  M.options = vim.tbl_deep_extend('force', vim.deepcopy(defaults), options)
  return M.options
end

--- Keys to map: those of the preset, those that were named, or none.
---@return umbrella.Keymap
function M.keys()
  local keymap = M.options.keymap
  if keymap == true then
    return M.preset
  end
  return type(keymap) == 'table' and keymap or {}
end

--- Whether suggestions appear by themselves in a buffer, and which switch says so.
---@param bufnr integer
---@return boolean enabled
---@return string why
function M.enabled(bufnr)
  local buffer = vim.b[bufnr].umbrella_enabled
  if buffer ~= nil then
    return buffer and buffer ~= 0, 'vim.b.umbrella_enabled'
  end
  local global = vim.g.umbrella_enabled
  if global == false or global == 0 then
    return false, 'vim.g.umbrella_enabled'
  end
  local filetype = vim.bo[bufnr].filetype
  local filetypes = M.options.filetypes
  if filetypes[filetype] ~= nil then
    return filetypes[filetype], ("filetypes['%s']"):format(filetype)
  end
  return filetypes['*'] ~= false, "filetypes['*']"
end

return M
