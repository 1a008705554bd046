-- One running request for all who ask the same: the ghost text and the sources of menus. The server
-- answers only the newest request of a document, so that two for one place would end each other.
local server = require('umbrella.server')

local M = {}

---@alias umbrella.Reply fun(items: table[]?, problem: string?)

---@class umbrella.Running
---@field question string what was asked: client, text, place, by whom
---@field waiting table<umbrella.Reply, true>
---@field cancel fun()

---@type umbrella.Running?
local running

---@param request umbrella.Request
---@return string
local function question(request)
  local tick = vim.api.nvim_buf_get_changedtick(request.bufnr)
  local who = tostring(request.explicit)
  local parts = { request.client.id, request.bufnr, tick, request.row, request.col, who }
  return table.concat(parts, ' ')
end

---@param request umbrella.Request
---@return umbrella.Running
local function begin(request)
  local one = { question = question(request), waiting = {} } ---@type umbrella.Running
  one.cancel = server.ask(request, function(items, problem)
    running = running ~= one and running or nil
    for reply in pairs(one.waiting) do
      reply(items, problem)
    end
  end)
  return one
end

--- Ask for the text at a place; see `umbrella.server`'s `ask`. A running request with the same
--- question is joined.
---@param request umbrella.Request
---@param reply umbrella.Reply a function of its own for each call
---@return fun() cancel
function M.ask(request, reply)
  local one = running
  if not one or one.question ~= question(request) then
    one = begin(request)
    running = one
  end
  one.waiting[reply] = true
  return function()
    if one.waiting[reply] then
      one.waiting[reply] = nil
      if next(one.waiting) == nil then
        one.cancel()
        running = running ~= one and running or nil
      end
    end
  end
end

return M
