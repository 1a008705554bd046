-- How the rest of a suggestion looks on the screen: pieces of text between the characters that are
-- there, or over the rest of the line where it has to move down, and lines below.
local M = {}

---@class umbrella.Layout
---@field pieces [integer, string][] bytes after the cursor, text to show there
---@field overlay? string covers the rest of the line
---@field covered string what the overlay covers
---@field below string[]
---@field tail string what is shown after the last line because it would move there

---@param suggestion umbrella.Suggestion
---@param length integer
---@return [integer, string][]
local function between(suggestion, length)
  local pieces, start, offset = {}, length, 0
  for _, place in ipairs(suggestion.places) do
    if place > length then
      table.insert(pieces, { offset, suggestion.text:sub(start + 1, place - 1) })
      start, offset = place, offset + 1
    end
  end
  table.insert(pieces, { offset, suggestion.text:sub(start + 1) })
  return vim.tbl_filter(function(piece)
    return piece[2] ~= ''
  end, pieces)
end

--- Lay out what is left of a suggestion when `length` bytes of it are in the buffer.
---@param suggestion umbrella.Suggestion
---@param length integer
---@return umbrella.Layout
function M.of(suggestion, length)
  local lines = vim.split(suggestion.text:sub(length + 1), '\n', { plain = true })
  local first = table.remove(lines, 1)
  local pending = suggestion.replaced:sub(suggestion:consumed(length) + 1)
  local kept = suggestion.kept
  if #lines == 0 and suggestion.places then
    return { pieces = between(suggestion, length), covered = '', below = {}, tail = '' }
  elseif pending == '' and kept == '' then
    return { pieces = { { 0, first } }, covered = '', below = lines, tail = '' }
  elseif #lines == 0 then
    local overlay = first .. kept
    return { pieces = {}, overlay = overlay, covered = pending .. kept, below = {}, tail = '' }
  end
  return { pieces = {}, overlay = first, covered = pending .. kept, below = lines, tail = kept }
end

return M
