-- The suggestion at the cursor: asks at each key, follows what is typed, accepts and dismisses.
--
-- There is no delay of its own. A key cancels the request before it, and an answer is painted only
-- where text and cursor are still those that were asked about. What is typed along a suggestion
-- moves along it at once, while the next request is on its way.
local config = require('umbrella.config')
local events = require('umbrella.events')
local feedback = require('umbrella.feedback')
local layout = require('umbrella.layout')
local menu = require('umbrella.menu')
local moment = require('umbrella.moment')
local render = require('umbrella.render')
local requests = require('umbrella.requests')
local server = require('umbrella.server')
local Suggestion = require('umbrella.suggestion')

local M = {}

---@class umbrella.Shown
---@field bufnr integer
---@field list umbrella.Suggestion[]
---@field index integer the one on the screen
---@field length integer bytes of it that are in the buffer
---@field explicit boolean whether the list is all that the server has

---@type umbrella.Shown?
local shown
---@type fun()? cancels the running request
local cancel
local here, place = moment.here, moment.place
local seen = '' -- text and cursor that the last update was for

local function stop_asking()
  if cancel then
    cancel()
  end
  cancel = nil
end

---@return boolean whether there was anything
local function hide()
  local old = shown
  if not old then
    return false
  end
  shown = nil
  render.clear(old.bufnr)
  events.fire('Hidden', { bufnr = old.bufnr })
  return true
end

local function paint()
  if not shown then
    return
  end
  local _, row, col = here()
  local more = #shown.list > 1 and ('(%d/%d)'):format(shown.index, #shown.list) or ''
  local suggestion = shown.list[shown.index]
  render.show(shown.bufnr, row, col, layout.of(suggestion, shown.length), more)
end

--- Move along the suggestion to where the cursor is now.
---@return boolean whether it still holds
local function follow()
  if not shown then
    return false
  end
  local bufnr, row, col = here()
  local suggestion = shown.list[shown.index]
  local length = bufnr == shown.bufnr and suggestion:typed(bufnr, row, col)
  if not length or length == #suggestion.text then
    return false
  end
  if length ~= shown.length then
    shown.list, shown.index = { suggestion }, 1 -- the others may not hold
  end
  shown.length = length
  return true
end

---@param list umbrella.Suggestion[]
---@param request umbrella.Request
---@param index integer
local function show(list, request, index)
  local suggestion = list[index]
  local length = suggestion:typed(request.bufnr, request.row, request.col) or 0
  local text = suggestion.text:sub(length + 1)
  local old = shown and shown.list[shown.index]
  local before = old and old.text:sub(shown.length + 1)
  if text == before and #list == 1 and old.client == suggestion.client then
    return -- the older one begins earlier: it holds when what was typed is deleted again
  end
  local explicit = request.explicit
  shown =
    { bufnr = request.bufnr, list = list, index = index, length = length, explicit = explicit }
  paint()
  if text ~= before then
    feedback.shown(suggestion, length, request.bufnr)
  end
end

---@param items table[]
---@param request umbrella.Request
---@return umbrella.Suggestion[]
local function suggestions(items, request)
  local list, known = {}, {}
  for _, item in ipairs(items) do
    local suggestion = Suggestion.new(item, request)
    if suggestion and not known[suggestion.text] then
      known[suggestion.text] = true
      table.insert(list, suggestion)
    end
  end
  return list
end

--- Ask the server for the place of the cursor.
---@param explicit boolean
---@param step? integer 1 or -1: show the next or previous of the answer's, relative to the present
local function ask(explicit, step)
  stop_asking()
  local bufnr, row, col = here()
  local client = server.client(bufnr)
  if not client then
    hide()
    return
  end
  local asked = place()
  local request = { client = client, bufnr = bufnr, row = row, col = col, explicit = explicit }
  cancel = requests.ask(request, function(items, problem)
    cancel = nil
    if problem or place() ~= asked then
      return -- what is typed along may stay; the key that came meanwhile asks again
    end
    local list = moment.is_wanted() and suggestions(items or {}, request) or {}
    if #list == 0 then
      hide()
    else
      show(list, request, step and step % #list + 1 or 1)
    end
  end)
end

--- Do what a key or a move of the cursor calls for.
function M.update()
  local now = place()
  if not moment.is_wanted() then
    M.leave()
    return
  end
  if now == seen then
    return
  end
  seen = now
  stop_asking()
  if follow() then
    paint()
  else
    hide()
  end
  local bufnr = here()
  if config.options.trigger == 'auto' and config.enabled(bufnr) then
    ask(false)
  end
end

--- Forget everything: the cursor has left.
function M.leave()
  seen = ''
  stop_asking()
  hide()
end

--- Ask although nothing was typed, also where suggestions are switched off.
---@return boolean whether there is a server to ask
function M.trigger()
  if not server.client(vim.api.nvim_get_current_buf()) then
    return false
  end
  ask(true)
  return true
end

---@return boolean
function M.is_visible()
  return shown ~= nil and follow()
end

---@param part umbrella.Part
local function insert(part)
  if not follow() then
    return
  end
  local current = assert(shown)
  local suggestion, from = current.list[current.index], current.length
  local to = suggestion:until_part(part, from)
  local piece = suggestion.text:sub(from + 1, to)
  local lines = vim.split(piece, '\n', { plain = true })
  local bufnr, row, col = here()
  local gone = suggestion:consumed(to) - suggestion:consumed(from)
  vim.bo[bufnr].undolevels = vim.bo[bufnr].undolevels -- what was typed is undone by itself
  vim.api.nvim_buf_set_text(bufnr, row, col, row, col + gone, lines)
  local last = #lines[#lines] + (#lines == 1 and col or 0)
  vim.api.nvim_win_set_cursor(0, { row + #lines, last })
  stop_asking()
  current.list, current.index, current.length = { suggestion }, 1, to
  if to == #suggestion.text then
    hide()
  else
    seen = place() -- the rest was chosen along with it, there is nothing to ask
    paint()
  end
  feedback.accepted(suggestion, to, { bufnr = bufnr, text = piece, part = part })
end

--- Put the suggestion, or a part of it, into the buffer: now, or as soon as text may be changed.
---@param part? umbrella.Part default: all
---@return boolean whether there is one
function M.accept(part)
  if not M.is_visible() then
    return false
  end
  local fine, problem = pcall(insert, part or 'all')
  if not fine and tostring(problem):find('E565', 1, true) then -- in an expression mapping
    vim.schedule(function()
      insert(part or 'all')
    end)
  elseif not fine then
    error(problem, 0)
  end
  return true
end

--- Show another suggestion; the server is asked for more where it has given only one.
---@param step integer 1 or -1
---@return boolean whether there is one
function M.cycle(step)
  if not M.is_visible() then
    return false
  end
  local current = assert(shown)
  if #current.list > 1 then
    current.index = (current.index - 1 + step) % #current.list + 1
    paint()
    feedback.shown(current.list[current.index], current.length, current.bufnr)
  elseif not current.explicit then
    ask(true, step)
  end
  return true
end

--- Take the suggestion away until the next key.
---@return boolean whether there was one
function M.dismiss()
  stop_asking()
  local bufnr = shown and shown.bufnr
  if not hide() then
    return false
  end
  events.fire('Dismissed', { bufnr = bufnr })
  return true
end

--- Follow the editor from now on.
function M.start()
  local group = vim.api.nvim_create_augroup('umbrella', {})
  vim.api.nvim_create_autocmd({ 'TextChangedI', 'TextChangedP', 'CursorMovedI' }, {
    group = group,
    callback = M.update,
  })
  vim.api.nvim_create_autocmd('ModeChanged', {
    group = group,
    pattern = '*:i', -- at InsertEnter the mode is still the one before
    callback = M.update,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave', 'WinLeave' }, {
    group = group,
    callback = M.leave,
  })
  vim.api.nvim_create_autocmd({ 'BufEnter', 'FocusGained', 'InsertEnter', 'CursorHold' }, {
    group = group,
    callback = function(event)
      server.focus(event.buf)
    end,
  })
  vim.api.nvim_create_autocmd('ColorScheme', { group = group, callback = render.highlights })
  menu.watch(group, M.update)
  render.highlights()
end

return M
