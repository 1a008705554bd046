-- Only the command: nothing else is loaded until it is used or `setup` is called.
if vim.g.loaded_umbrella then
  return
end
vim.g.loaded_umbrella = true

vim.api.nvim_create_user_command('Umbrella', function(arguments)
  require('umbrella.command').run(arguments.fargs)
end, {
  nargs = '*',
  desc = 'Umbrella: code completion from a model on this machine',
  complete = function(lead, line)
    return require('umbrella.command').complete(lead, line)
  end,
})
