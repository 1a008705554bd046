-- Keys for insert mode that do what they did before where there is no suggestion.
local config = require('umbrella.config')

local M = {}

local PREFIX = 'Umbrella: '

---@type table<string, string> what can be done → the words for it
local actions = {
  accept = 'accept the suggestion',
  accept_word = 'accept the next word',
  accept_line = 'accept the next line',
  next = 'show the next suggestion',
  prev = 'show the previous suggestion',
  dismiss = 'dismiss the suggestion',
  trigger = 'ask for suggestions',
}

--- Keep what a key does now under a name of its own.
---@param action string
---@param key string
---@return string? name nil where the key is ours already
local function keep(action, key)
  local name = ('<Plug>(umbrella-before-%s)'):format(action)
  local old = vim.fn.maparg(key, 'i', false, true)
  if vim.startswith(old.desc or '', PREFIX) then
    return nil
  elseif vim.tbl_isempty(old) or old.buffer == 1 then
    vim.keymap.set('i', name, key)
  else
    local raw = vim.api.nvim_replace_termcodes(name, true, true, true)
    old.lhs, old.lhsraw, old.lhsrawalt = name, raw, nil
    vim.fn.mapset('i', false, old)
  end
  return name
end

---@param action string
---@param key string
local function map(action, key)
  local before = keep(action, key)
  if not before then
    return
  end
  local possible = action == 'trigger' and 'can_trigger' or 'is_visible'
  vim.keymap.set('i', key, function()
    local umbrella = require('umbrella')
    return umbrella[possible]() and ('<Cmd>lua require("umbrella").%s()<CR>'):format(action)
      or before
  end, { expr = true, remap = true, desc = PREFIX .. actions[action] })
end

--- Map the keys that were asked for.
function M.set()
  for action, key in pairs(config.keys()) do
    if key then
      map(action, key)
    end
  end
end

return M
